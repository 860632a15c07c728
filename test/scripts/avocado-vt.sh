#!/usr/bin/env bash
# The commands of autotest/tp-qemu, tests for avocado-vt, on the simulators of the kernel: add_dev and remove_dev of the classes
# VhostVdpaBlkSimulatorTest, VirtioVdpaBlkSimulatorTest, VhostVdpaNetSimulatorTest and VirtioVdpaNetSimulatorTest in
# provider/vdpa_sim_utils.py (6f0573097c77), which find nodes like get_vdpa_dev_file_by_name of avocado-framework/avocado-vt in
# virttest/utils_vdpa.py (05bc5f7b7e1d). They choose the driver by the only module that they load. Argument: vhost or virtio.
set -euo pipefail
shopt -s nullglob

driver=$1
bus=${SYSFS_ROOT-}/sys/bus/vdpa/devices

# The only one of these paths.
only() { (($# == 1)) && basename "$1"; }

# As lsblk does, which reads the machine that it runs on.
disks() { ls "${SYSFS_ROOT-}/sys/class/block"; }

show_node() { echo "$1 /dev/$(only "$bus/$1"/vhost-vdpa*)"; }

remove() {
  vdpa dev del "$1" || true
  if vdpa dev list -jp "$1" 2>/dev/null; then
    echo "The vdpa device $1 still exists" >&2
    exit 1
  fi
}

before=$(disks)
vdpa dev add mgmtdev vdpasim_blk name vdpa_blk_test
vdpa dev list -jp vdpa_blk_test
vdpa dev add name vdpa_net_test mgmtdev vdpasim_net mac 00:11:22:33:44:00
vdpa dev list -jp vdpa_net_test
if [[ $driver == vhost ]]; then
  show_node vdpa_blk_test
  show_node vdpa_net_test
else
  echo "vdpa_blk_test $(comm -13 <(echo "$before") <(disks))"
  echo "vdpa_net_test $(only "$bus"/vdpa_net_test/virtio*/net/*)"
fi
remove vdpa_blk_test
remove vdpa_net_test
