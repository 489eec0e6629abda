#!/bin/sh
# Runs a command in a virtual machine with Debian's own kernel and cgroup v2: this machine's files are there,
# read-only below a throw-away layer; /var/lib, /var/tmp and /tmp lie on a fresh ext4 disk; there is no network.
# The exit status is the command's; 125 when the machine ended without one.
#
#   sh scripts/vm.sh [-c v1|v2] [-i] [-d DISK] COMMAND [ARG]...
#
# With -i systemd is process 1, of this machine's files, with a bus and nothing else, and the command a service of it;
# v1 is then what systemd makes of it (hybrid).
# With -d the disk is this file, made where there is none and kept; the end of this script by a signal is a power cut
# for the machine: what it has not synced is not on the disk.
# It is switched off after MYDOCKER_VM_TIMEOUT seconds (3600).
# Emulated unless KVM works here, so everything is some ten times slower. What it needs is installed and kept in
# ${XDG_CACHE_HOME:-~/.cache}/mydocker-vm.
set -eu
cd "$(dirname "$0")/.."
layout=v2
disk=
first=command
while getopts c:d:i option; do
  case $option in
    c) layout=$OPTARG ;;
    i) first=systemd ;;
    d) disk=$OPTARG ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
case $layout in v1 | v2) ;; *) echo "vm: -c v1 or v2, not $layout" >&2; exit 2 ;; esac
[ $# -gt 0 ] || { echo 'usage: vm.sh [-c v1|v2] [-i] [-d DISK] COMMAND [ARG]...' >&2; exit 2; }
[ "$(uname -m)" = x86_64 ] || { echo 'vm: only on x86_64' >&2; exit 2; }

cache=${XDG_CACHE_HOME:-$HOME/.cache}/mydocker-vm
mkdir -p "$cache"
sh scripts/vm-kernel.sh "$cache"

work=$(mktemp -d "${TMPDIR:-/tmp}/mydocker-vm.XXXXXX")
qemu=
tidy() {
  if [ -n "$qemu" ]; then kill -9 "$qemu" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap tidy EXIT
trap 'exit 130' INT TERM HUP

quote() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }

# What differs from run to run goes into a second archive behind the first.
mkdir "$work/initrd"
cp scripts/vm-init.sh "$work/initrd/init"
chmod 755 "$work/initrd/init"
{
  printf 'layout=%s\n' "$layout"
  printf 'first=%s\n' "$first"
  printf 'kernel=%s\n' "$(cat "$cache/version")"
  printf 'modules=%s\n' "$(quote "$cache/lib/modules")"
} >"$work/initrd/settings"
{
  printf 'export HOME=/root LANG=C.UTF-8 PATH=%s\n' "$(quote "$PATH")"
  # A test may turn swap on, and reserve huge pages: the machine is thrown away.
  printf 'export MYDOCKER_TEST_MACHINE=virtual\n'
  printf 'export MYDOCKER_TEST_SLOWNESS=%s\n' "${MYDOCKER_TEST_SLOWNESS:-10}"
  for name in MYDOCKER_WERROR MYDOCKER_NODE XDG_CACHE_HOME; do
    eval "value=\${$name:-}"
    if [ -n "$value" ]; then printf 'export %s=%s\n' "$name" "$(quote "$value")"; fi
  done
  printf 'cd %s && exec' "$(quote "$PWD")"
  for word; do printf ' %s' "$(quote "$word")"; done
  echo
} >"$work/initrd/command"
(cd "$work/initrd" && find . | busybox cpio -o -H newc 2>/dev/null) >"$work/more"
cat "$cache/initrd" "$work/more" >"$work/initrd.img"

disk=${disk:-$work/disk}
if [ ! -e "$disk" ]; then
  truncate -s 8G "$disk"
  /sbin/mkfs.ext4 -q -F -m 0 -E nodiscard,lazy_itable_init=1,lazy_journal_init=1 "$disk"
fi

accelerator=$(cat "$cache/accelerator")
append='console=ttyS0 quiet panic=-1 mitigations=off nokaslr audit=0 random.trust_cpu=on'
# An emulated clock stutters under load; the kernel must not give it up, timers would stop with it.
append="$append no_timer_check tsc=reliable"
if [ "$layout" = v2 ]; then append="$append cgroup_no_v1=all"; fi
if [ "$layout" = v1 ]; then append="$append systemd.unified_cgroup_hierarchy=0"; fi
: >"$work/status"
# A pipe, because qemu opens by name, and a file opened twice has two ends.
mkfifo "$work/out"
cat "$work/out" &
reader=$!
# Whoever dies takes the machine along: this shell, the timeout, the machine.
# shellcheck disable=SC2086
setpriv --pdeathsig KILL timeout --foreground -s KILL "${MYDOCKER_VM_TIMEOUT:-3600}" \
  setpriv --pdeathsig KILL qemu-system-x86_64 -nodefaults -no-user-config -M q35 $accelerator -m 3G \
  -kernel "$cache/kernel" -initrd "$work/initrd.img" -append "$append" -no-reboot -display none -nic none \
  -chardev "file,id=console,path=$work/console" -serial chardev:console \
  -device virtio-serial-pci \
  -chardev "file,id=out,path=$work/out,append=on" -device virtserialport,chardev=out,name=out \
  -chardev "file,id=status,path=$work/status" -device virtserialport,chardev=status,name=status \
  -drive "file=$disk,format=raw,if=none,id=disk,cache=unsafe" -device virtio-blk-pci,drive=disk \
  -device virtio-rng-pci \
  -fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap \
  -device virtio-9p-pci,fsdev=root,mount_tag=root \
  </dev/null 2>"$work/errors" &
qemu=$!
wait "$qemu" || true
qemu=
wait "$reader"
status=$(cat "$work/status")
if [ -z "$status" ]; then
  echo 'vm: the machine ended without an exit status; its console:' >&2
  tail -n 15 "$work/console" "$work/errors" >&2
  exit 125
fi
exit "$status"
