#!/usr/bin/env bash
# What an operator's provisioning script does: devices with MAC addresses of their own on every management device for networks,
# each with a node for a virtual machine. Arguments: the number of devices on each, 0 removes all that it has created; and the user
# that virtual machines run as.
set -euo pipefail

count=$1
owner=${2-}
prefix=vm

devices() {
  vdpa -j dev show | jq -r --arg prefix "$prefix" '.dev | keys[] | select(startswith($prefix))'
}

# What -d shows of a device.
detail() {
  vdpa -j -d dev show "$1" | jq -r --arg name "$1" --arg key "$2" '.dev[$name][$key] // "none"'
}

if ((count == 0)); then
  devices | while read -r name; do
    node=$(detail "$name" vhost)
    vdpa dev del "$name"
    [[ ! -e ${SYSFS_ROOT-}$node ]] || { echo "$node is left" >&2; exit 1; }
    echo "$name removed"
  done
  exit 0
fi

number=0
vdpa -j mgmtdev show | jq -r '.mgmtdev | to_entries[] | select(.value.supported_classes | index("net")) | .key' |
  while read -r mgmtdev; do
    # VDUSE also supports networks, but needs a server for each device.
    [[ $mgmtdev == vduse ]] && continue
    for ((index = 0; index < count; index++)); do
      name=$prefix$number
      mac=$(printf '02:00:00:00:00:%02x' "$number")
      number=$((number + 1))
      if ! vdpa -j dev show "$name" >/dev/null 2>&1; then
        vdpa dev add name "$name" mgmtdev "$mgmtdev" mac "$mac"
      fi
      found=$(vdpa -j dev config show "$name" | jq -r --arg name "$name" '.config[$name].mac')
      [[ $found == "$mac" ]] || { echo "$name has the address $found" >&2; exit 1; }
      vdpa dev bind "$name" driver vhost owner "$owner" mode 0600
      node=$(detail "$name" vhost)
      [[ $(stat -c '%U %a' "${SYSFS_ROOT-}$node") == "$owner 600" ]] || { echo "$owner cannot use $node" >&2; exit 1; }
      [[ $(vdpa -j dev show vhost "$node" | jq -r '.dev | keys[]') == "$name" ]]
      echo "$name $mgmtdev $mac $node"
    done
  done
