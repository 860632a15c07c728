#!/usr/bin/env bash
# The commands of farchanjo/cloudstack, a fork of CloudStack, whose agent for KVM plugs and unplugs a NIC for libvirt's
# <interface type='vdpa'>: OvnVdpaVifDriver.java, with the functions of VdpaVifDriver.java, in
# plugins/hypervisors/kvm/src/main/java/com/cloud/hypervisor/kvm/resource (0587b8e27b46). A device that an earlier boot left is
# deleted first; 33 virtqueues are 16 pairs. Arguments: the PCI address of the virtual function, the name, the MAC address.
set -uo pipefail

address=$1 name=$2 mac=$3

is_there() { vdpa dev show -j 2>/dev/null | grep -q "\"$name\""; }

# The node that the directory of the device names, if it is listed.
node() {
  local entry
  is_there || return 1
  for entry in "${SYSFS_ROOT-}/sys/bus/vdpa/devices/$name"/vhost-vdpa*; do
    [[ ${entry##*/} =~ ^vhost-vdpa-?([0-9]+)$ ]] && echo "/dev/vhost-vdpa-${BASH_REMATCH[1]}" && return
  done
  return 1
}

plug() {
  vdpa dev del "$name" 2>/dev/null
  vdpa dev add name "$name" mgmtdev "pci/$address" mac "$mac" max_vqp $(((33 - 1) / 2))
  node
}

unplug() {
  vdpa dev del "$name" 2>/dev/null
  ! is_there
}

plug && plug && vdpa dev config show "$name" && unplug
