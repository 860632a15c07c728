/** /sys/bus and /sys/class: all devices of a kind, as links to their directories. */
import { busName, parentOf } from '../../state/model.js';
import type { BusDriverName, DeviceState, SimState, VirtioBinding } from '../../state/model.js';
import { findDevice } from '../devices.js';
import { bindByName, busDrivers, probeByName, setAutoprobe, unbindByName } from '../driver-core.js';
import { devicePath, diskName, instancePath, managementPath, pciPath, virtioParent } from '../places.js';
import { virtioDriver } from '../virtio-bus.js';
import { control, directory, linkTo, listing, type Directory, type FileNode } from './node.js';
import { pciFunctions } from './sys-devices.js';

/** /sys/bus */
export function sysBus(state: SimState): Directory {
  const others = [...new Set(state.machine.mgmtdev.flatMap(({ bus }) => (bus === undefined ? [] : [bus])))];
  return directory({
    vdpa: () => vdpaBus(state),
    virtio: () => virtioBus(state),
    pci: () => parentBus(state, 'pci'),
    ...Object.fromEntries(others.map((bus) => [bus, () => parentBus(state, bus)])),
  });
}

function vdpaBus(state: SimState): Directory {
  const drivers = busDrivers(state).map((driver) => [driver, () => vdpaDriver(state, driver)] as const);
  return directory({
    devices: () => deviceLinks('/bus/vdpa/devices', state, () => true),
    drivers: () => directory(Object.fromEntries(drivers)),
    drivers_autoprobe: control(setAutoprobe, state.kernel.autoprobe ? '1' : '0'),
    drivers_probe: control(probeByName),
  });
}

function deviceLinks(from: string, state: SimState, isThere: (device: DeviceState) => boolean): Directory {
  return listing(
    () => state.devices.filter(isThere).map(({ name }) => name),
    (name) => {
      const device = findDevice(state, name);
      return device && isThere(device) ? linkTo(from, devicePath(state, device))() : undefined;
    },
  );
}

function vdpaDriver(state: SimState, driver: BusDriverName): Directory {
  return directory(
    {
      bind: control((draft, text) => {
        bindByName(draft, driver, text);
      }),
      unbind: control((draft, text) => {
        unbindByName(draft, driver, text);
      }),
      uevent: () => ({ kind: 'file', mode: 0o200 }),
    },
    deviceLinks(`/bus/vdpa/drivers/${driver}`, state, ({ binding }) => binding?.driver === driver),
  );
}

/** What virtio_vdpa has made of a device, with the path of the virtio device below /sys. */
interface VirtioPlace {
  readonly binding: VirtioBinding;
  readonly path: string;
}

/** The virtio devices for which there is a name: `virtio0`, and that of an interface or a disk. */
function virtioLinks(
  state: SimState,
  from: string,
  nameOf: (binding: VirtioBinding) => string | undefined,
  pathOf: (place: VirtioPlace) => string,
): Directory {
  return listing(
    () => state.devices.flatMap(({ binding }) => (binding?.driver === 'virtio_vdpa' ? (nameOf(binding) ?? []) : [])),
    (name) => {
      for (const device of state.devices) {
        const { binding } = device;
        if (binding?.driver !== 'virtio_vdpa' || nameOf(binding) !== name) continue;
        const path = `${virtioParent(state, device)}/virtio${binding.virtio}`;
        return linkTo(from, pathOf({ binding, path }))();
      }
      return undefined;
    },
  );
}

/** A directory of links, by name. */
function links(from: string, targets: () => readonly (readonly [name: string, path: string])[]): Directory {
  return listing(
    () => targets().map(([name]) => name),
    (name) => {
      const target = targets().find(([candidate]) => candidate === name);
      return target && linkTo(from, target[1])();
    },
  );
}

const virtioName = ({ virtio }: VirtioBinding): string => `virtio${virtio}`;
const netdevName = ({ netdev }: VirtioBinding): string | undefined => netdev && `eth${netdev.number}`;
const blockName = ({ disk }: VirtioBinding): string | undefined => disk && diskName(disk.number);

function virtioBus(state: SimState): Directory {
  const driver = (wanted: string) => (): FileNode =>
    virtioLinks(
      state,
      `/bus/virtio/drivers/${wanted}`,
      (binding) => (virtioDriver(binding) === wanted ? virtioName(binding) : undefined),
      ({ path }) => path,
    );
  return directory({
    devices: () => virtioLinks(state, '/bus/virtio/devices', virtioName, ({ path }) => path),
    drivers: () => directory({ virtio_net: driver('virtio_net'), virtio_blk: driver('virtio_blk') }),
  });
}

/** The bus of the parents of hardware. */
function parentBus(state: SimState, bus: string): Directory {
  const parents = state.machine.mgmtdev.filter((management) => management.bus === bus);
  const driven = parents.flatMap((management) => {
    const driver = parentOf(management)?.driver;
    return driver === undefined ? [] : [{ driver, name: management.name, path: managementPath(management) }];
  });
  const drivers = [...new Set(driven.map(({ driver }) => driver))];
  const devices = (): (readonly [string, string])[] =>
    bus === 'pci'
      ? pciFunctions(state).map((address) => [address, pciPath(address)] as const)
      : parents.map((management) => [management.name, managementPath(management)] as const);
  return directory({
    devices: () => links(`/bus/${bus}/devices`, devices),
    drivers: () =>
      directory(
        Object.fromEntries(
          drivers.map((wanted) => [
            wanted,
            () =>
              links(`/bus/${bus}/drivers/${wanted}`, () =>
                driven.filter(({ driver }) => driver === wanted).map(({ name, path }) => [name, path] as const),
              ),
          ]),
        ),
      ),
  });
}

/** /sys/class */
export function sysClass(state: SimState): Directory {
  return directory({
    block: () =>
      virtioLinks(state, '/class/block', blockName, ({ binding, path }) => `${path}/block/${blockName(binding) ?? ''}`),
    net: () =>
      virtioLinks(state, '/class/net', netdevName, ({ binding, path }) => `${path}/net/${netdevName(binding) ?? ''}`),
    vduse: () =>
      links('/class/vduse', () =>
        ['control', ...state.vduse.map(({ name }) => busName(name))].map((name) => [name, instancePath(name)] as const),
      ),
  });
}
