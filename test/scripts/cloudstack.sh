#!/usr/bin/env bash
# The commands of CloudStack's agent for KVM that plug and unplug a NIC: VdpaVifDriver, which waits for the node that libvirt's
# <interface type='vdpa'> needs. A device that an earlier boot left is deleted first; 33 virtqueues are 16 pairs. Arguments: the PCI
# address of the virtual function, the name, the MAC address.
set -uo pipefail

address=$1 name=$2 mac=$3

plug() {
  vdpa dev del "$name" 2>/dev/null
  vdpa dev add name "$name" mgmtdev "pci/$address" mac "$mac" max_vqp $(((33 - 1) / 2))
}

# Prints the path of the node once it is there.
await_node() {
  local deadline=$((SECONDS + 10)) entry
  while ((SECONDS < deadline)); do
    for entry in "${SYSFS_ROOT-}/sys/bus/vdpa/devices/$name"/vhost-vdpa-*; do
      [[ -e ${SYSFS_ROOT-}/dev/${entry##*/} ]] && echo "/dev/${entry##*/}" && return
    done
    sleep 0.2
  done
  return 1
}

plug && plug && await_node && vdpa dev config show "$name" && vdpa dev del "$name" 2>/dev/null
