#!/bin/sh
# Fuzzes the parsers of the shim: sh scripts/fuzz.sh [SECONDS for each, 60].
# The corpus that the tests write (build/fuzz/NAME) is the start; what is found
# is kept there. A crash leaves its input in build/fuzz/NAME-crash and fails.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
sh scripts/build-c-test.sh --fuzz
for source in test/fuzz/*.c; do
  [ -e "$source" ] || { echo 'fuzz: there is nothing to fuzz yet'; exit 0; }
  name=$(basename "$source" .c)
  mkdir -p "build/fuzz/$name"
  "build/test/fuzz-$name" -max_total_time="$seconds" -max_len=65536 -timeout=5 -verbosity=0 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/$name-crash-" "build/fuzz/$name"
done
