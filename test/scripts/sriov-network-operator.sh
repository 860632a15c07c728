#!/usr/bin/env bash
# The requests of k8snetworkplumbingwg/sriov-network-operator for a virtual function: CreateVDPADevice and DeleteVDPADevice of
# pkg/host/internal/vdpa/vdpa.go, with BindDriverByBusAndDevice of pkg/host/internal/kernel/kernel.go (249e20012faf), which writes
# to files of sysfs what `dev bind` does. Arguments: the PCI address, and the driver: vhost or virtio.
set -uo pipefail

address=$1 driver=$2
name=vdpa:$address
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

# Whether the last command failed with this error, as the operator compares error numbers.
failed_with() { grep -q "^kernel answers: $1\$" "$errors"; }

add() {
  vdpa dev show "$name" >/dev/null 2>"$errors" && return 0
  failed_with 'No such device' || return 1
  # 32 pairs, or as many as there are if that cannot be chosen.
  vdpa dev add name "$name" mgmtdev "pci/$address" max_vqp 32 2>"$errors" && return 0
  failed_with 'Operation not supported' || return 1
  vdpa dev add name "$name" mgmtdev "pci/$address" 2>"$errors"
}

bound() { basename "$(readlink "${SYSFS_ROOT-}/sys/bus/vdpa/devices/$name/driver")"; }

create() {
  add || return 1
  [[ $(bound) == "${driver}_vdpa" ]] || vdpa dev bind "$name" driver "$driver" 2>"$errors"
}

delete() {
  vdpa dev del "$name" 2>"$errors" || failed_with 'No such device'
}

for _ in first second; do
  create || { cat "$errors" >&2; exit 1; }
  vdpa dev show "$name"
  bound
done
delete && delete || { cat "$errors" >&2; exit 1; }
