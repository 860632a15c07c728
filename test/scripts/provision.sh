#!/usr/bin/env bash
# What an operator's provisioning script does: devices with MAC addresses of their own on every management device for networks.
# Arguments: the number of devices on each; 0 removes all that it has created.
set -euo pipefail

count=$1
prefix=vm

devices() {
  vdpa -j dev show | jq -r --arg prefix "$prefix" '.dev | keys[] | select(startswith($prefix))'
}

if ((count == 0)); then
  devices | while read -r name; do
    vdpa dev del "$name"
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
      echo "$name $mgmtdev $mac"
    done
  done
