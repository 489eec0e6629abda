#!/bin/sh
# Prepares what scripts/vm.sh boots, once: sh scripts/vm-kernel.sh CACHE_FOLDER
# Debian's kernel, its modules, an initramfs that reaches the root, and whether KVM runs it here.
set -eu
cd "$(dirname "$0")/.."
cache=$1

exec 9>"$cache/.lock"
flock 9

missing=
for need in qemu-system-x86=/usr/bin/qemu-system-x86_64 kmod=/sbin/depmod e2fsprogs=/sbin/mkfs.ext4 \
  busybox-static=/bin/busybox xz-utils=/usr/bin/xz; do
  [ -e "${need#*=}" ] || missing="$missing ${need%%=*}"
done
if [ -n "$missing" ]; then
  echo "vm: installing$missing"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o Dpkg::Use-Pty=0 $missing \
    >"$cache/apt.log" 2>&1 9>&- || {
    apt-get update -q >>"$cache/apt.log" 2>&1 9>&- &&
      DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o Dpkg::Use-Pty=0 $missing \
        >>"$cache/apt.log" 2>&1 9>&-
  } || { tail -n 5 "$cache/apt.log" >&2; exit 1; }
fi

prepare_kernel() {
  work=$(mktemp -d "$cache/work.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  # linux-image-amd64 depends on the one that is current
  package=$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
  [ -n "$package" ] || { apt-get update -q >/dev/null && exec sh "$0" "$cache"; }
  echo "vm: preparing $package (once)"
  (cd "$work" && apt-get download -q "$package" >/dev/null 2>&1) || { echo "vm: cannot download $package" >&2; exit 1; }
  dpkg-deb -x "$work"/*.deb "$work/tree"
  version=$(ls "$work/tree/lib/modules")
  rm -rf "$cache/lib"
  mkdir -p "$cache/lib/modules"
  mv "$work/tree/lib/modules/$version" "$cache/lib/modules/"
  # drivers of hardware that no such machine has: two thirds of the size
  (cd "$cache/lib/modules/$version/kernel" && rm -rf sound drivers/gpu drivers/media drivers/staging \
    drivers/infiniband drivers/iio drivers/usb drivers/hid drivers/hwmon drivers/net/wireless drivers/net/ethernet)
  /sbin/depmod -b "$cache" "$version"
  mv "$work/tree/boot/vmlinuz-$version" "$cache/kernel"

  root=$work/initrd
  mkdir -p "$root/bin" "$root/modules" "$root/proc" "$root/sys" "$root/dev" "$root/lower" "$root/layer" "$root/new"
  cp /bin/busybox "$root/bin/busybox"
  for module in virtio_pci virtio_blk virtio_console virtio_rng 9pnet_virtio 9p overlay ext4; do
    /sbin/modprobe -d "$cache" -S "$version" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
  done | awk '!seen[$0]++' | while read -r file; do
    name=${file##*/}
    case $file in
      *.xz) name=${name%.xz}; xz -dc "$file" >"$root/modules/$name" ;;
      *) cp "$file" "$root/modules/$name" ;;
    esac
    echo "$name"
  done >"$root/modules/order"
  (cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null) >"$cache/initrd"
  echo "$version" >"$cache/version"
}
[ -e "$cache/version" ] || prepare_kernel

# KVM may be there and yet not run this kernel (a nested one), so it is tried: with no /init to find, the kernel says
# so and panics, which is all that is asked of it here.
find_accelerator() {
  if [ -w /dev/kvm ]; then
    { timeout -s KILL 15 qemu-system-x86_64 -nodefaults -no-user-config -M q35 -accel kvm -cpu host -m 512 \
      -kernel "$cache/kernel" -append 'console=ttyS0 panic=-1' -serial stdio -display none -no-reboot -nic none \
      </dev/null 9>&- || true; } 2>/dev/null | grep -q 'Kernel panic' && { echo '-accel kvm -cpu host -smp 2'; return; }
  fi
  # One processor: with two, one of them runs what the other one's compiler just wrote, and V8 dies of it.
  echo '-accel tcg -cpu Nehalem,+rdrand -smp 1'
}
key=$(uname -r | tr / _)
[ -e "$cache/accelerator.$key" ] || find_accelerator >"$cache/accelerator.$key"
cp "$cache/accelerator.$key" "$cache/accelerator"
