#!/usr/bin/env bash
# The requests of canonical/lxd for a NIC with acceleration=vdpa: AddVDPADevice and DeleteVDPADevice of lxd/ip/vdpa.go.
# Argument: the PCI address of the virtual function.
set -euo pipefail

address=$1
taken=$(vdpa -j dev show | jq -r '.dev | keys[]')
index=0
while grep -qx "vdpa$index" <<<"$taken"; do index=$((index + 1)); done
name=vdpa$index

vdpa dev add name "$name" mgmtdev "pci/$address" max_vqp 16
vdpa -j dev show "$name" | jq -r '.dev | to_entries[] | "\(.key) \(.value.mgmtdev) \(.value.max_vqs)"'
vdpa dev del "$name"
