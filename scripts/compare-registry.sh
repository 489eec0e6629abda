#!/bin/sh
# `npm run compare:registry`: images of every maker pulled and pushed by mydocker, then pulled and run by docker, podman
# and ctr. See test/compare/registry.ts. Where one of them is not installed it says so; it is no part of the tests.
set -eu
cd "$(dirname "$0")/.."
for program in /usr/sbin/dockerd /usr/bin/docker /usr/bin/podman /usr/bin/ctr /usr/bin/containerd skopeo umoci docker-registry; do
  if ! command -v "$program" >/dev/null; then
    echo "compare-registry: $program is not there, nothing was compared (apt-get install docker.io podman skopeo umoci docker-registry)"
    exit 0
  fi
done
sh scripts/build.sh
sh scripts/build-c-test.sh
exec sh scripts/node.sh test/compare/registry.ts "$@"
