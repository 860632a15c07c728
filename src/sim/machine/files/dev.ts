/** /dev: the nodes of devices. */
import type { FileAccess } from '../../../sysfs/machine-files.js';
import { busName } from '../../state/model.js';
import type { SimState, VhostBinding } from '../../state/model.js';
import { findDevice, replaceDevice } from '../devices.js';
import { VDUSE_MAJOR, VHOST_MAJOR, diskDevice, diskName } from '../places.js';
import { directory, listing, type DeviceNode, type Directory } from './node.js';

/** The permissions of devtmpfs. */
const onlyRoot: FileAccess = { uid: 0, gid: 0, mode: 0o600 };

/** The misc device of iommufd: its major number, and a dynamic minor number. */
const IOMMU = { major: 10, minor: 124 } as const;

/** /dev */
export function dev(state: SimState): Directory {
  return directory(
    {
      iommu: () => characterNode('iommu', IOMMU.major, IOMMU.minor),
      vduse: () => vduseNodes(state),
    },
    vhostNodes(state),
    diskNodes(state),
  );
}

function characterNode(name: string, major: number, minor: number): DeviceNode {
  return { kind: 'device', name, device: { kind: 'character', major, minor }, access: onlyRoot };
}

function vduseNodes(state: SimState): Directory {
  return listing(
    () => ['control', ...state.vduse.map(({ name }) => busName(name))],
    (name) => {
      if (name === 'control') return characterNode('vduse/control', VDUSE_MAJOR, 0);
      const instance = state.vduse.find((candidate) => busName(candidate.name) === name);
      return instance && characterNode(`vduse/${name}`, VDUSE_MAJOR, instance.minor);
    },
  );
}

function vhostNodes(state: SimState): Directory {
  return listing(
    () =>
      state.devices.flatMap(({ binding }) => (binding?.driver === 'vhost_vdpa' ? [`vhost-vdpa-${binding.minor}`] : [])),
    (name) => {
      const minor = Number(/^vhost-vdpa-(0|[1-9][0-9]*)$/.exec(name)?.[1]);
      for (const { name: owner, binding } of state.devices) {
        if (binding?.driver === 'vhost_vdpa' && binding.minor === minor) return vhostNode(owner, binding);
      }
      return undefined;
    },
  );
}

function vhostNode(owner: string, { minor, uid = 0, gid = 0, mode = onlyRoot.mode }: VhostBinding): DeviceNode {
  return {
    ...characterNode(`vhost-vdpa-${minor}`, VHOST_MAJOR, minor),
    access: { uid, gid, mode },
    setAccess: (draft, access) => {
      const device = findDevice(draft, owner);
      if (device?.binding?.driver !== 'vhost_vdpa') return;
      replaceDevice(draft, device, { ...device, binding: { ...device.binding, ...access } });
    },
  };
}

function diskNodes(state: SimState): Directory {
  const disks = (): number[] =>
    state.devices.flatMap(({ binding }) =>
      binding?.driver === 'virtio_vdpa' && binding.disk !== undefined ? [binding.disk.number] : [],
    );
  return listing(
    () => disks().map(diskName),
    (name) => {
      const number = /^vd[a-z]+$/.test(name) ? disks().find((candidate) => diskName(candidate) === name) : undefined;
      if (number === undefined) return undefined;
      const [major = 0, minor = 0] = diskDevice(number).split(':').map(Number);
      return { kind: 'device', name, device: { kind: 'block', major, minor }, access: onlyRoot };
    },
  );
}
