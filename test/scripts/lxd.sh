#!/usr/bin/env bash
# The requests of canonical/lxd for a NIC with acceleration=vdpa: AddVDPADevice, getVhostVDPADevInPath and DeleteVDPADevice of
# lxd/ip/vdpa.go (102eff026c32), which also requires that the node is a device. Argument: the PCI address of the virtual function.
set -euo pipefail

address=$1
taken=$(vdpa -j dev show | jq -r '.dev | keys[]')
index=0
while grep -qx "vdpa$index" <<<"$taken"; do index=$((index + 1)); done
name=vdpa$index

vdpa dev add name "$name" mgmtdev "pci/$address" max_vqp 16
vdpa -j dev show "$name" | jq -r '.dev | to_entries[] | "\(.key) \(.value.mgmtdev) \(.value.max_vqs)"'

# The directory in that of the device, and the node of that name.
node=
for entry in "${SYSFS_ROOT-}/sys/bus/vdpa/devices/$name"/*vhost-vdpa*; do
  if [[ -d $entry && -e ${SYSFS_ROOT-}/dev/${entry##*/} ]]; then node=/dev/${entry##*/}; fi
done
if [[ -n $node ]]; then echo "$name $node"; else echo "No vhost-vdpa device found for $name" >&2; fi
vdpa dev del "$name"
[[ -n $node ]]
