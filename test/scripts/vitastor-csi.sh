#!/usr/bin/env bash
# The commands of vitalif/vitastor for a volume that a qemu-storage-daemon serves through VDUSE: mapVduse and unmapVduseById of
# csi/src/utils.go (2826bb9e7e7b). Argument: the name of the VDUSE device.
set -euo pipefail

id=$1
vdpa -j dev add name "$id" mgmtdev vduse
vdpa -j dev show "$id" | jq -e --arg id "$id" '.dev[$id].type == "block"' >/dev/null

# The disk, which virtio_vdpa and virtio_blk have made of it.
disks=("${SYSFS_ROOT-}/sys/bus/vdpa/devices/$id"/virtio*/block/*)
disk=/dev/${disks[0]##*/}
[[ -e ${SYSFS_ROOT-}$disk ]] || { echo "${disks[0]} is not found" >&2; exit 1; }
echo "$id $disk"
vdpa -j dev del "$id"
