#!/bin/sh
# Starts a server and shows what it does, each command with its output. Part of quickstart.sh, which calls it:
#
#   tour.sh try TAR FOLDER CGROUP_PARENT    on folders below FOLDER, in namespaces that the caller made
#   tour.sh keep TAR                        on the real folders; the server goes on
set -eu
mode=$1
tar=$2

if [ "$mode" = keep ]; then
  root=/var/lib/mydocker
  state=/run/mydocker
  work=$(mktemp -d /tmp/mydocker-tour.XXXXXX)
else
  ip link set lo up
  root=$3/root
  state=$3/state
  work=$3
fi
MYDOCKER_HOST=unix://$state/mydocker.sock
export MYDOCKER_HOST
log=$work/mydockerd.log
server=

if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold='' plain=''; fi

fail() {
  echo "quickstart: FAILED: $1" >&2
  if [ -s "$log" ]; then
    echo 'quickstart: the last lines of the server'"'"'s log:' >&2
    tail -n 20 "$log" >&2
  fi
  exit 1
}

finish() {
  if [ "$mode" = try ] && [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  if [ "$mode" = keep ]; then rm -rf "$work"; fi
}
trap finish EXIT

say() { printf '\n%s\n' "$*"; }

# Shows a command, runs it, and checks how it ended.
show() { # EXPECTED_STATUS ARG...
  expected=$1
  shift
  printf '\n%s$ mydocker' "$bold"
  for word; do
    case $word in
      *[!A-Za-z0-9_.,:=/-]*) printf " '%s'" "$word" ;;
      *) printf ' %s' "$word" ;;
    esac
  done
  printf '%s\n' "$plain"
  status=0
  bin/mydocker "$@" || status=$?
  [ "$status" = "$expected" ] || fail "mydocker $*: exit status $status, expected $expected"
}

answers() { bin/mydocker version >/dev/null 2>&1; }

start_server() {
  if answers; then return; fi
  if [ "$mode" = keep ]; then
    setsid bin/mydockerd --root "$root" --state "$state" --listen "$MYDOCKER_HOST" >/var/log/mydockerd.log 2>&1 </dev/null &
    log=/var/log/mydockerd.log
  else
    bin/mydockerd --root "$root" --state "$state" --listen "$MYDOCKER_HOST" --cgroup-parent "$4" >"$log" 2>&1 &
  fi
  server=$!
  tries=0
  until answers; do
    kill -0 "$server" 2>/dev/null || fail 'the server ended at its start'
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || fail 'the server does not answer'
    sleep 0.1
  done
}
start_server "$@"

say '1. An image: a root filesystem as a tar, unpacked by a confined process.'
show 0 import "$tar" busybox
show 0 images

say '2. A container: process 1 of its own namespaces, gone when it is done.'
show 0 run --rm --network none --hostname box busybox sh -c 'echo "hello from $(hostname)"; id; ps'

say '3. One in the background, with a folder of this machine and a limit.'
mkdir -p "$work/data"
show 0 run -d --name web --network none -v "$work/data:/data" -m 32m --pids-max 20 busybox \
  sh -c 'echo started; echo "written inside" > /data/note; while :; do date; sleep 1; done'
sleep 1.5
show 0 ps
show 0 logs web
show 0 exec web ps

say '4. The folder is the same on both sides.'
printf '%s$ cat %s%s\n' "$bold" "$work/data/note" "$plain"
cat "$work/data/note"

say '5. The limit holds: what takes more than its memory is killed (128 + 9).'
show 137 run --rm --network none -m 32m busybox dd if=/dev/zero of=/dev/null bs=128M count=1

say '6. Files stay over a stop and a start.'
show 0 exec web sh -c 'echo kept > /root/file'
show 0 stop -t 1 web
show 0 ps
show 0 start web
show 0 exec web cat /root/file

say '7. Every step of a start can be read before it is done.'
explain='run --explain --network none --read-only busybox true'
printf '\n%s$ mydocker %s%s\n' "$bold" "$explain" "$plain"
# shellcheck disable=SC2086
bin/mydocker $explain >"$work/plan" || fail "mydocker $explain"
# In words and without the small steps in between: the whole of it has two hundred lines.
awk '
  function rest() { if (less > 0) printf "     (and %d smaller steps)\n", less; less = 0 }
  !/^ *[0-9]+ / { rest(); print; next }
  { sub(/^ *[0-9]+ .*  # /, "") }
  /^(open|write|close|connect|make (file|folder|symlink|device)|.* cgroup \/)/ || /masked|read-only\)/ { less++; next }
  { print "   " $0 }
  END { rest() }' "$work/plan"

say '8. And away with it.'
show 0 rm -f web
show 0 rmi busybox
show 0 ps

if [ "$mode" = keep ]; then
  say "The server goes on: root $root, state $state, socket $MYDOCKER_HOST."
  if [ -n "$server" ]; then echo "Its process is $server, its log /var/log/mydockerd.log; end it with: kill $server"; fi
  echo 'Try: bin/mydocker --help'
else
  say 'All of this ran in namespaces of its own and is gone now. To keep a server: npm run quickstart -- --keep'
fi
