#!/bin/sh
# `npm run bench`: installs the peers (Debian's docker.io, containerd, podman, runc, crun; no service starts),
# builds, and measures. See test/bench/bench.ts for the arguments.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh bench
sh scripts/build-c-test.sh
exec sh scripts/node.sh test/bench/bench.ts "$@"
