#!/bin/sh
# gcc's static analyzer over the C files; any finding fails.
set -eu
cd "$(dirname "$0")/.."
. scripts/c-flags.sh
for source in shim/*.c native/*.c test/harness/*.c test/bench/*.c; do
  [ -e "$source" ] || continue
  # -O2, because several warnings only see what the optimizer sees.
  # shellcheck disable=SC2086
  ${CC:-gcc} $C_WARNINGS -O2 -Werror -fanalyzer -c -o /dev/null "$source"
done
