#!/bin/sh
# Builds what does not run from its sources: the shim (static C), the library of
# system calls and the client (one file, because loading fifty costs more than
# running them), and compiles the worker ahead. Does nothing that is done already.
#
#   sh scripts/build.sh [shim|calls|client|worker]   all without an argument
#   MYDOCKER_WERROR=1                      warnings are errors (development, CI)
set -eu
cd "$(dirname "$0")/.."
part=${1:-all}
mkdir -p build
. scripts/c-flags.sh

# Two builds at a time would read each other's halves.
exec 9>build/.lock
flock 9

is_older() { # TARGET SOURCE...: true when the target is missing or older than any source
  target=$1
  shift
  [ -e "$target" ] || return 0
  for source; do
    if [ "$source" -nt "$target" ]; then return 0; fi
  done
  return 1
}

build_shim() {
  [ -e shim/main.c ] || { echo 'build: there is no shim/main.c yet, no shim is built'; return 0; }
  set -- shim/*.c
  flags="$C_WARNINGS $C_HARDENING -s"
  if [ -n "${MYDOCKER_WERROR:-}" ]; then flags="$flags -Werror"; fi
  # Other flags are another program, whatever the times say.
  if [ "$flags" = "$(cat build/.shim-flags 2>/dev/null)" ] &&
    ! is_older build/mydocker-shim "$@" shim/*.h shim scripts/c-flags.sh; then
    return 0
  fi
  echo 'build: build/mydocker-shim'
  # shellcheck disable=SC2086
  ${CC:-gcc} $flags -o build/mydocker-shim.new "$@" 9>&-
  mv build/mydocker-shim.new build/mydocker-shim
  printf '%s\n' "$flags" >build/.shim-flags
}

build_calls() {
  flags="$C_WARNINGS $C_LIBRARY -s"
  if [ -n "${MYDOCKER_WERROR:-}" ]; then flags="$flags -Werror"; fi
  if ! is_older build/libmydocker.so native/calls.c scripts/c-flags.sh; then return 0; fi
  echo 'build: build/libmydocker.so'
  # shellcheck disable=SC2086
  ${CC:-gcc} $flags -o build/libmydocker.so.new native/calls.c 9>&-
  mv build/libmydocker.so.new build/libmydocker.so
}

build_client() {
  [ -e client/main.ts ] || { echo 'build: there is no client/main.ts yet, no client is built'; return 0; }
  # A folder's time changes when a file in it comes or goes.
  if ! is_older build/mydocker.cjs client client/*.ts client/*/ client/*/*.ts client/*/*/ client/*/*/*.ts proto/gen/mydocker/v1/*.ts \
    package-lock.json scripts/build.sh; then
    return 0
  fi
  echo 'build: build/mydocker.cjs'
  node_modules/.bin/esbuild client/main.ts --bundle --minify --platform=node --format=cjs --target=node24 \
    --legal-comments=none --log-level=warning --outfile=build/mydocker.cjs.new 9>&-
  mv build/mydocker.cjs.new build/mydocker.cjs
}

# The code of the worker as Node compiles it: the worker itself cannot keep it.
build_worker() {
  [ -e server/image/unpack-worker.ts ] || return 0
  if ! is_older build/.worker-compiled server/image/*.ts server/model/*.ts native/*.ts package-lock.json \
    scripts/build.sh; then
    return 0
  fi
  echo 'build: build/compile-cache'
  NODE_COMPILE_CACHE="$PWD/build/compile-cache" sh scripts/node.sh server/image/unpack-worker.ts compile 9>&-
  : >build/.worker-compiled
}

case $part in
  all) build_shim; build_calls; build_client; build_worker ;;
  shim) build_shim ;;
  calls) build_calls ;;
  client) build_client ;;
  worker) build_worker ;;
  *) echo "build: unknown part '$part' (shim, calls, client or worker)" >&2; exit 2 ;;
esac
