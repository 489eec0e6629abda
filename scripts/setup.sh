#!/bin/sh
# Makes a Debian machine ready: packages, npm modules, build. Runs before
# `npm ci`, so it is plain sh and needs nothing that Debian does not always have.
#
#   sh scripts/setup.sh [run|test|vm|ok|bench]     each with what it needs
#
# Nothing is done twice: a second call takes a fraction of a second.
set -eu
cd "$(dirname "$0")/.."

level=${1:-run}
# What building and running needs: compiler, busybox for the first image,
# nftables (its library is what the server loads), ip to show and to check.
packages='gcc libc6-dev busybox-static nftables iproute2 zstd'
# What writes the archives that tests load.
writers='docker.io containerd podman skopeo umoci buildah'
# What serves the images that tests pull.
registry=docker-registry
# What runs a server as a unit, in namespaces or in a virtual machine.
init='systemd dbus'
# What serves volumes in a virtual machine, where the kernel has them.
servers='nfs-kernel-server samba kmod'
case $level in
  run) ;;
  test) packages="$packages mmdebstrap xfsprogs $writers $registry $init" ;;
  vm) packages="$packages mmdebstrap xfsprogs $writers $registry $init $servers" ;;
  ok) packages="$packages mmdebstrap xfsprogs $writers $registry $init clang-14 libclang-rt-14-dev clang-format-14" ;;
  # Docker and podman make their networks with iptables and CNI.
  bench) packages="$packages mmdebstrap docker.io containerd podman runc crun iptables containernetworking-plugins iperf3" ;;
  *) echo "setup: unknown level '$level' (run, test, vm, ok or bench)" >&2; exit 2 ;;
esac

[ "$(id -u)" = 0 ] || { echo 'setup: needs root (namespaces, mounts, packages); run it with sudo' >&2; exit 1; }

missing=
for package in $packages; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) || status=
  [ "$status" = installed ] || missing="$missing $package"
done

policy=/usr/sbin/policy-rc.d
# Debian starts the services of what it installs, unless this file forbids it.
# One that is there already is the administrator's decision and stays.
forbid_services() {
  if [ -e "$policy" ] && ! grep -q 'mydocker setup' "$policy"; then return; fi
  printf '#!/bin/sh\n# mydocker setup: no service starts while packages are installed\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
  trap 'exit 130' INT TERM HUP
}

if [ -n "$missing" ]; then
  if ! command -v apt-get >/dev/null; then
    echo "setup: this is not a Debian machine; please install what these are there:$missing" >&2
    exit 1
  fi
  echo "setup: installing$missing"
  forbid_services
  mkdir -p build
  install='apt-get install -y -q --no-install-recommends -o Dpkg::Use-Pty=0'
  # The lists are fetched only when what is there does not do.
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive $install $missing >build/apt.log 2>&1 || {
    apt-get update -q >>build/apt.log 2>&1 || true
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive $install $missing >>build/apt.log 2>&1 || {
      tail -n 20 build/apt.log >&2
      echo "setup: could not install$missing; the whole log is build/apt.log" >&2
      exit 1
    }
  }
fi

if ! node scripts/modules-fresh.mjs; then
  echo 'setup: installing the npm modules of package-lock.json'
  npm ci --ignore-scripts --no-fund --no-audit
fi

sh scripts/build.sh
