#!/bin/sh
# `npm test`: makes the machine ready, then runs every test there is.
#
#   npm test                                  all
#   npm test -- test/unit/model               the test files below a folder
#   npm test -- test/integration/run.test.ts  one file
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh test
sh scripts/build-c-test.sh
exec sh scripts/node.sh test/run.ts "$@"
