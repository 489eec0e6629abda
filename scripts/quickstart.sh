#!/bin/sh
# `npm run quickstart`: sets everything up on a fresh Debian 12 with Node, npm and root, and shows what mydocker does.
#
#   npm run quickstart              in namespaces of its own, on temporary folders; nothing stays
#   npm run quickstart -- --keep    on the real folders, /var/lib/mydocker and /run/mydocker; the server stays
set -eu
cd "$(dirname "$0")/.."

case ${1:-} in
  '' | --keep) ;;
  *) echo "usage: npm run quickstart [-- --keep]" >&2; exit 2 ;;
esac

sh scripts/setup.sh run
# A root filesystem from Debian's busybox: 2 MB, one program under 270 names.
tar=$(sh scripts/node.sh test/fixtures/images.ts busybox)

if [ "${1:-}" = --keep ]; then exec sh scripts/tour.sh keep "$tar"; fi

folder=$(mktemp -d /tmp/mydocker-quickstart.XXXXXX)
group=/${folder##*/}
tidy() {
  for path in /sys/fs/cgroup"$group" /sys/fs/cgroup/*"$group"; do
    if [ -d "$path" ]; then find "$path" -depth -type d -exec rmdir {} \; ; fi
  done
  rm -rf "$folder"
}
trap tidy EXIT
trap 'exit 130' INT TERM HUP
# What the tour starts ends with these namespaces, whatever happens in there.
unshare --net --mount --pid --ipc --uts --fork --propagation private --mount-proc --kill-child=KILL \
  sh scripts/tour.sh try "$tar" "$folder" "$group"
