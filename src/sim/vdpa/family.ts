/** The vdpa generic netlink family of the kernel: its operations and its policy. drivers/vdpa/vdpa.c */
import * as uapi from '../../vdpa/uapi.js';
import type { Family, GenlRequest } from '../netlink/genetlink.js';
import type { Dump } from '../netlink/socket.js';
import type { Policy } from '../netlink/policy.js';
import { addDevice, deleteDevice, setDevice } from './changes.js';
import type { VdpaContext } from './context.js';
import {
  dumpConfigs,
  dumpDevices,
  dumpManagementDevices,
  getConfig,
  getDevice,
  getManagementDevice,
  getVendorStats,
} from './queries.js';

/** virtio specification, section "Network Device": the smallest MTU. */
const minMtu = 68n;

const policy: Policy = {
  maxType: uapi.VDPA_ATTR_MAX,
  attributes: {
    [uapi.VDPA_ATTR_MGMTDEV_BUS_NAME]: { kind: 'nul-string' },
    [uapi.VDPA_ATTR_MGMTDEV_DEV_NAME]: { kind: 'string' },
    [uapi.VDPA_ATTR_DEV_NAME]: { kind: 'string' },
    [uapi.VDPA_ATTR_DEV_NET_CFG_MACADDR]: { kind: 'binary', minLength: 6, maxLength: 6 },
    [uapi.VDPA_ATTR_DEV_NET_CFG_MAX_VQP]: { kind: 'u16' },
    [uapi.VDPA_ATTR_DEV_NET_CFG_MTU]: { kind: 'u16', min: minMtu },
    [uapi.VDPA_ATTR_DEV_QUEUE_INDEX]: { kind: 'u32' },
    [uapi.VDPA_ATTR_DEV_FEATURES]: { kind: 'u64' },
  },
};

type Do = (context: VdpaContext, request: GenlRequest) => void;
type List = (context: VdpaContext, request: GenlRequest) => Dump;

const operations: readonly { command: uapi.VdpaCommandNumber; privileged: boolean; do: Do; dump?: List }[] = [
  { command: uapi.VDPA_CMD_MGMTDEV_GET, privileged: false, do: getManagementDevice, dump: dumpManagementDevices },
  { command: uapi.VDPA_CMD_DEV_NEW, privileged: true, do: addDevice },
  { command: uapi.VDPA_CMD_DEV_DEL, privileged: true, do: deleteDevice },
  { command: uapi.VDPA_CMD_DEV_GET, privileged: false, do: getDevice, dump: dumpDevices },
  { command: uapi.VDPA_CMD_DEV_CONFIG_GET, privileged: false, do: getConfig, dump: dumpConfigs },
  { command: uapi.VDPA_CMD_DEV_VSTATS_GET, privileged: true, do: getVendorStats },
  { command: uapi.VDPA_CMD_DEV_ATTR_SET, privileged: true, do: setDevice },
];

/** The family on a machine. @param id its number */
export function vdpaFamily(id: number, context: VdpaContext): Family {
  return {
    id,
    name: uapi.VDPA_GENL_NAME,
    version: uapi.VDPA_GENL_VERSION,
    maxAttribute: uapi.VDPA_ATTR_MAX,
    reservedStart: uapi.VDPA_CMD_DEV_VSTATS_GET + 1,
    operations: operations.map(({ command, privileged, do: once, dump }) => ({
      command,
      privileged,
      do: {
        policy,
        strictness: 'strict',
        run: (request) => {
          context.faults.meet(command, request);
          once(context, request);
        },
      },
      ...(dump && { dump: { policy, strictness: 'strict', run: (request) => dump(context, request) } }),
    })),
    multicastGroups: [],
  };
}
