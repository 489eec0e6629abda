#!/bin/sh
# `npm run test:vm`: the tests that depend on the layout of control groups or on the kernel, on cgroup v2 under
# Debian's kernel in a virtual machine. Emulated, so it takes long and is no part of `npm test`.
#
#   npm run test:vm                                    the files that say @vm, then those of test/vm
#   npm run test:vm -- test/integration/run.test.ts    these
#
# Files of test/vm run on this machine and start virtual ones, to cut their power, or to have one each.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh vm
sh scripts/build-c-test.sh
# Made here: the machine has no network.
sh scripts/node.sh test/fixtures/images.ts >/dev/null
# What touches control groups, mounts or the kernel's newer calls says @vm in its first comment; the rest is the same
# everywhere.
MYDOCKER_VM_TIMEOUT=${MYDOCKER_VM_TIMEOUT:-14400}
export MYDOCKER_VM_TIMEOUT
inside=
outside=
if [ $# -eq 0 ]; then set -- test/harness $(grep -l '@vm' test/integration/*.test.ts) test/vm/*.test.ts; fi
for file; do
  case $file in
    test/vm | test/vm/) outside="$outside test/vm/*.test.ts" ;;
    test/vm/*) outside="$outside $file" ;;
    *) inside="$inside $file" ;;
  esac
done
failed=0
# Names of files here, which have no spaces.
# shellcheck disable=SC2086
if [ -n "$inside" ]; then sh scripts/vm.sh sh scripts/node.sh test/run.ts $inside || failed=1; fi
# shellcheck disable=SC2086
if [ -n "$outside" ]; then sh scripts/node.sh --test --test-concurrency=1 $outside || failed=1; fi
exit $failed
