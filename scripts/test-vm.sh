#!/bin/sh
# `npm run test:vm`: the tests that depend on the layout of control groups or on the kernel, on cgroup v2 under
# Debian's kernel in a virtual machine. Emulated, so it takes long and is no part of `npm test`.
#
#   npm run test:vm                                    the files that say @vm
#   npm run test:vm -- test/integration/run.test.ts    these
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh test
sh scripts/build-c-test.sh
# Made here: the machine has no network.
sh scripts/node.sh test/fixtures/images.ts >/dev/null
# What touches control groups, mounts or the kernel's newer calls says @vm in its first comment; the rest is the same
# everywhere.
if [ $# -eq 0 ]; then set -- test/harness $(grep -l '@vm' test/integration/*.test.ts); fi
MYDOCKER_VM_TIMEOUT=${MYDOCKER_VM_TIMEOUT:-10800}
export MYDOCKER_VM_TIMEOUT
exec sh scripts/vm.sh sh scripts/node.sh test/run.ts "$@"
