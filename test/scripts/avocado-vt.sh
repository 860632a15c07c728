#!/usr/bin/env bash
# The commands of avocado-framework/avocado-vt on the simulators of the kernel: add_dev and remove_dev of its classes
# VhostVdpaBlkSimulatorTest, VirtioVdpaBlkSimulatorTest, VhostVdpaNetSimulatorTest and VirtioVdpaNetSimulatorTest.
set -euo pipefail

remove() {
  vdpa dev del "$1" || true
  if vdpa dev list -jp "$1" 2>/dev/null; then
    echo "The vdpa device $1 still exists" >&2
    exit 1
  fi
}

vdpa dev add mgmtdev vdpasim_blk name vdpa_blk_test
vdpa dev list -jp vdpa_blk_test
vdpa dev add name vdpa_net_test mgmtdev vdpasim_net mac 00:11:22:33:44:00
vdpa dev list -jp vdpa_net_test
remove vdpa_blk_test
remove vdpa_net_test
