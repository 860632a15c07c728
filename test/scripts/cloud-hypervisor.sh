#!/usr/bin/env bash
# The commands of cloud-hypervisor/cloud-hypervisor that prepare its integration tests: prepare_vdpa of
# scripts/prepare_vdpa.sh (192123e011a4).
set -x

vdpa dev add name vdpa-blk1 mgmtdev vdpasim_blk
vdpa dev add name vdpa-blk2 mgmtdev vdpasim_blk
vdpa dev add name vdpa-net1 mgmtdev vdpasim_net
chmod 660 "${SYSFS_ROOT-}/dev/vhost-vdpa-0"
chmod 660 "${SYSFS_ROOT-}/dev/vhost-vdpa-1"
chmod 660 "${SYSFS_ROOT-}/dev/vhost-vdpa-2"
vdpa dev show -jp
