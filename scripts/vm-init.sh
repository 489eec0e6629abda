#!/bin/busybox sh
# Process 1 of the virtual machine of scripts/vm.sh: finds the root, mounts what a system has, runs the command,
# says how it ended, switches off. First in the initramfs, then, from there called again, in the root; and, where
# systemd becomes process 1, once more as the service that it starts.
b=/bin/busybox

find_root() {
  $b mount -t proc proc /proc
  $b mount -t sysfs sysfs /sys
  $b mount -t devtmpfs dev /dev
  while read -r module; do $b insmod "/modules/$module"; done </modules/order 2>/dev/null
  $b mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=262144,cache=loose root /lower || $b poweroff -f
  $b mount -t tmpfs -o mode=755 layer /layer
  $b mkdir /layer/upper /layer/work
  $b mount -t overlay -o lowerdir=/lower,upperdir=/layer/upper,workdir=/layer/work root /new || $b poweroff -f
  $b mount -t tmpfs -o mode=755,nosuid,nodev run /new/run
  $b mkdir /new/run/vm /new/run/lower
  $b cp /init /settings /command $b /new/run/vm/
  $b mount --move /lower /new/run/lower
  for folder in proc sys dev; do
    $b mkdir -p /new/$folder
    $b mount --move /$folder /new/$folder
  done
  exec $b switch_root /new /run/vm/busybox sh /run/vm/init root
}

mount_system() {
  $b mount --make-rshared /
  $b mkdir -p /dev/pts /dev/shm /dev/mqueue
  $b mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
  $b mount -t tmpfs -o mode=1777,nosuid,nodev shm /dev/shm
  $b mount -t mqueue mqueue /dev/mqueue
  for pair in fd: stdin/0 stdout/1 stderr/2; do
    case $pair in
      fd:) $b ln -s /proc/self/fd /dev/fd ;;
      *) $b ln -s "/proc/self/fd/${pair#*/}" "/dev/${pair%/*}" ;;
    esac
  done 2>/dev/null
  $b ip link set lo up
  # a real disk where the data lies; 9p has neither xattrs nor renames that overlay needs
  $b mkdir -p /run/disk
  $b mount -t ext4 /dev/vda /run/disk || $b poweroff -f
  for folder in var/lib var/tmp tmp; do
    $b mkdir -p "/run/disk/$folder"
    $b chmod "$($b stat -c %a "/$folder")" "/run/disk/$folder"
    $b mount --bind "/run/disk/$folder" "/$folder"
  done
  $b mkdir -p "/lib/modules/$kernel"
  $b mount --bind "/run/lower$modules/$kernel" "/lib/modules/$kernel"
}

mount_cgroups() {
  top=/sys/fs/cgroup
  if [ "$layout" = v2 ]; then
    $b mount -t cgroup2 -o nosuid,nodev,noexec,nsdelegate cgroup2 $top
    for controller in $($b cat $top/cgroup.controllers); do echo "+$controller" >$top/cgroup.subtree_control; done
    return
  fi
  $b mount -t tmpfs -o mode=755 cgroup $top
  for controller in cpu,cpuacct cpuset memory devices freezer pids blkio hugetlb; do
    $b mkdir $top/$controller
    $b mount -t cgroup -o nosuid,nodev,noexec,$controller cgroup $top/$controller
  done
}

run_command() {
  for port in /sys/class/virtio-ports/vport*; do
    read -r name <"$port/name"
    case $name in
      out) out=/dev/${port##*/} ;;
      status) status=/dev/${port##*/} ;;
    esac
  done
  # through a pipe, so that the command may open /dev/stdout again
  $b mkfifo /run/vm/out
  $b cat /run/vm/out >"$out" &
  reader=$!
  $b setsid /bin/sh /run/vm/command </dev/null >/run/vm/out 2>&1
  code=$?
  # what the command left running holds the pipe
  for process in /proc/[0-9]*; do
    pid=${process#/proc/}
    case $pid in
      1 | $$ | "$reader") ;;
      *) if [ -e "$process/exe" ]; then kill -9 "$pid"; fi ;;
    esac
  done 2>/dev/null
  wait $reader
  echo "$code" >"$status"
}

# Only the command and what it needs: no unit that this machine has enabled, no journal, no udev.
become_systemd() {
  units=/run/systemd/system
  $b mkdir -p $units
  for unit in dbus.socket dbus.service; do
    $b mkdir -p "$units/$unit.d"
    printf '[Unit]\nDefaultDependencies=no\n' >"$units/$unit.d/vm.conf"
  done
  printf '[Unit]\nDefaultDependencies=no\nWants=vm.service\n' >$units/vm.target
  {
    printf '[Unit]\nDefaultDependencies=no\nWants=dbus.socket\nAfter=dbus.socket\n'
    printf '[Service]\nType=oneshot\nExecStart=/run/vm/busybox sh /run/vm/init service\nTimeoutStartSec=infinity\n'
  } >$units/vm.service
  exec /lib/systemd/systemd --unit=vm.target --log-target=console --show-status=no
}

case ${1:-} in root | service) ;; *) find_root ;; esac
b=/run/vm/busybox
. /run/vm/settings
if [ "$1" = root ]; then
  mount_system
  if [ "$first" = systemd ]; then become_systemd; fi
  mount_cgroups
fi
run_command
$b poweroff -f
