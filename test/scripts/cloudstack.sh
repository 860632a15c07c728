#!/usr/bin/env bash
# The commands of CloudStack's agent for KVM that plug and unplug a NIC: VdpaVifDriver. A device that an earlier boot left is
# deleted first; 33 virtqueues are 16 pairs. Arguments: the PCI address of the virtual function, the name, the MAC address.
set -uo pipefail

address=$1 name=$2 mac=$3

plug() {
  vdpa dev del "$name" 2>/dev/null
  vdpa dev add name "$name" mgmtdev "pci/$address" mac "$mac" max_vqp $(((33 - 1) / 2))
}

plug && plug && vdpa dev config show "$name" && vdpa dev del "$name" 2>/dev/null
