#!/bin/sh
# Checks that the C files are formatted as .clang-format says; --write formats them.
set -eu
cd "$(dirname "$0")/.."
mode='--dry-run -Werror'
if [ "${1:-}" = --write ]; then mode=-i; fi
set --
for source in shim/*.c shim/*.h native/*.c test/harness/*.c test/bench/*.c test/fuzz/*.c test/unit/*/*.c test/integration/*.c; do
  if [ -e "$source" ]; then set -- "$@" "$source"; fi
done
[ $# -gt 0 ] || exit 0
format=clang-format-14
command -v "$format" >/dev/null || format=clang-format
# shellcheck disable=SC2086
exec "$format" $mode "$@"
