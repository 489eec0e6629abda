#!/bin/sh
# Fails when proto/gen is not what the .proto files generate, or when those are not formatted.
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/node_modules/.bin:$PATH
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
buf format --diff --exit-code --path proto/mydocker
sh scripts/proto-gen.sh "$fresh"
if ! diff -r "$fresh/proto/gen" proto/gen >/dev/null; then
  diff -rq "$fresh/proto/gen" proto/gen >&2 || :
  echo 'proto-check: proto/gen is stale; run `npm run proto:gen` and commit the result' >&2
  exit 1
fi
echo 'proto-check: proto/gen is fresh'
