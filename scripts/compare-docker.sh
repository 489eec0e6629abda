#!/bin/sh
# `npm run compare:docker`: the same commands to Debian's docker and to mydocker, in namespaces of their own. See
# test/compare/compare.ts. Where docker.io is not installed it says so; it is no part of the tests.
set -eu
cd "$(dirname "$0")/.."
for program in /usr/sbin/dockerd /usr/bin/docker; do
  if [ ! -x "$program" ]; then
    echo "compare-docker: $program is not there, nothing was compared (apt-get install docker.io iptables)"
    exit 0
  fi
done
sh scripts/build.sh
sh scripts/build-c-test.sh
exec sh scripts/node.sh test/compare/compare.ts "$@"
