/** The relations of devices: their management devices, their drivers, and the resulting interfaces, disks and nodes. */
import type { BusDevice, VdpaBus } from '../sysfs/bus.js';
import { describeClass, deviceClasses } from '../virtio/classes.js';
import type { VdpaClient } from '../vdpa/client.js';

/** The kind of a node. `vhost` is a /dev/vhost-vdpa-N, `virtio` a virtio device without an interface or disk. */
export type TreeKind = 'mgmtdev' | 'dev' | 'driver' | 'netdev' | 'block' | 'vhost' | 'virtio';

/** A node and its children. */
export interface TreeNode {
  readonly kind: TreeKind;
  readonly name: string;
  /** Additional information: the classes of a management device, the type of a device. */
  readonly detail?: string;
  readonly children: readonly TreeNode[];
}

/**
 * All management devices, each with its devices, and these with their drivers, interfaces, disks and nodes.
 *
 * Command line: `vdpa tree`.
 * @param bus the bus of the machine; without it the trees end at the devices
 * @throws NetlinkError, SystemError
 */
export async function readTree(client: VdpaClient, bus: VdpaBus | undefined): Promise<TreeNode[]> {
  const managementDevices = await client.managementDevices();
  const devices = await client.devices();
  return managementDevices.map((management) => {
    const handle = management.handle;
    const classes = deviceClasses(management.supportedClasses ?? 0n).map(describeClass);
    return {
      kind: 'mgmtdev',
      name: handle,
      detail: classes.join(' '),
      children: devices
        .filter(({ managementDevice }) => managementDevice === handle)
        .map(({ name, deviceId }) => ({
          kind: 'dev',
          name,
          detail: describeClass(deviceId),
          children: driverNodes(bus?.device(name)),
        })),
    };
  });
}

function driverNodes(device: BusDevice | undefined): TreeNode[] {
  if (device?.driver === undefined) return [];
  return [{ kind: 'driver', name: device.driver, children: endNodes(device) }];
}

/** The names that users of the device open or configure. */
function endNodes({ vhost, netdev, netdevElsewhere, block, virtio, virtioCandidates = [] }: BusDevice): TreeNode[] {
  if (vhost !== undefined) return [{ kind: 'vhost', name: `/dev/${vhost}`, children: [] }];
  if (netdev !== undefined) return [{ kind: 'netdev', name: netdev, children: [] }];
  if (block !== undefined) return [{ kind: 'block', name: `/dev/${block}`, children: [] }];
  if (virtio !== undefined) {
    const detail = netdevElsewhere ? { detail: 'interface in another network namespace' } : {};
    return [{ kind: 'virtio', name: virtio, ...detail, children: [] }];
  }
  return virtioCandidates.map((candidate) => ({
    kind: 'virtio',
    name: candidate.virtio,
    detail: 'perhaps',
    children: [],
  }));
}
