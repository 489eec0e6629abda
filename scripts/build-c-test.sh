#!/bin/sh
# Builds the C programs that only tests run:
#   build/test/mydocker-shim     the shim with the address and undefined-behaviour sanitizers
#   build/test/NAME              each test/harness/NAME.c and test/bench/NAME.c
#   build/test/fuzz-NAME         each test/fuzz/NAME.c: libFuzzer around a parser of shim/ (with --fuzz only:
#                                it needs clang, which `npm run ok` installs)
set -eu
cd "$(dirname "$0")/.."
mkdir -p build/test
. scripts/c-flags.sh

exec 9>build/test/.lock
flock 9

is_older() { # TARGET SOURCE...
  target=$1
  shift
  [ -e "$target" ] || return 0
  for prerequisite; do
    if [ "$prerequisite" -nt "$target" ]; then return 0; fi
  done
  return 1
}

options=test/integration/shim-sanitizer.c
if [ -e shim/main.c ] && is_older build/test/mydocker-shim shim shim/*.[ch] $options scripts/c-flags.sh; then
  echo 'build: build/test/mydocker-shim (sanitizers)'
  # shellcheck disable=SC2086
  ${CC:-gcc} $C_WARNINGS $C_SANITIZE -Werror -o build/test/mydocker-shim.new shim/*.c $options 9>&-
  mv build/test/mydocker-shim.new build/test/mydocker-shim
fi

for source in test/harness/*.c test/bench/*.c; do
  [ -e "$source" ] || continue
  name=$(basename "$source" .c)
  if is_older "build/test/$name" "$source" scripts/c-flags.sh; then
    echo "build: build/test/$name"
    # shellcheck disable=SC2086
    ${CC:-gcc} $C_WARNINGS $C_HARDENING -Werror -o "build/test/$name.new" "$source" 9>&-
    mv "build/test/$name.new" "build/test/$name"
  fi
done

[ "${1:-}" = --fuzz ] || exit 0
for source in test/fuzz/*.c; do
  [ -e "$source" ] || continue
  name=$(basename "$source" .c)
  if is_older "build/test/fuzz-$name" "$source" shim/*.[ch] scripts/c-flags.sh; then
    echo "build: build/test/fuzz-$name"
    clang-14 -std=gnu17 -Wall -Wextra -Werror -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
      -Ishim -o "build/test/fuzz-$name.new" "$source" "shim/$name.c" 9>&-
    mv "build/test/fuzz-$name.new" "build/test/fuzz-$name"
  fi
done
