#!/bin/sh
# `npm run ok`: everything a change must pass, in the order in which it fails
# soonest. Stops at the first failure.
set -eu
cd "$(dirname "$0")/.."
export MYDOCKER_WERROR=1
sh scripts/setup.sh ok

step() {
  name=$1
  shift
  echo "ok: $name"
  "$@" || { echo "ok: $name FAILED: $*" >&2; exit 1; }
}

step 'format and lint' node_modules/.bin/biome check .
step 'format of C' sh scripts/c-format.sh
step 'types' node_modules/.bin/tsc --noEmit
step 'contract: lint' node_modules/.bin/buf lint
step 'contract: generated code is fresh' sh scripts/proto-check.sh
step 'contract: nothing breaks' sh scripts/proto-breaking.sh
step 'C analysis' sh scripts/c-analyze.sh
step 'C tests and fuzzers build' sh scripts/build-c-test.sh --fuzz
step 'fuzz, one minute' sh scripts/fuzz.sh 60
step 'tests' sh scripts/test.sh
echo 'ok: all passed'
