/** /sys/bus and /sys/class: all devices of a kind, as links to their directories. */
import { busName } from '../../state/model.js';
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

/** The virtio devices, each with its path below /sys. */
function virtioDevices(state: SimState): { readonly path: string; readonly binding: VirtioBinding }[] {
  return state.devices.flatMap((device) => {
    const { binding } = device;
    if (binding?.driver !== 'virtio_vdpa') return [];
    return [{ binding, path: `${virtioParent(state, device)}/virtio${binding.virtio}` }];
  });
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

function virtioBus(state: SimState): Directory {
  const driver = (wanted: string) => (): FileNode =>
    links(`/bus/virtio/drivers/${wanted}`, () =>
      virtioDevices(state).flatMap(({ path, binding }) =>
        virtioDriver(binding) === wanted ? [[`virtio${binding.virtio}`, path] as const] : [],
      ),
    );
  return directory({
    devices: () =>
      links('/bus/virtio/devices', () =>
        virtioDevices(state).map(({ path, binding }) => [`virtio${binding.virtio}`, path] as const),
      ),
    drivers: () => directory({ virtio_net: driver('virtio_net'), virtio_blk: driver('virtio_blk') }),
  });
}

/** The bus of the parents of hardware. */
function parentBus(state: SimState, bus: string): Directory {
  const parents = state.machine.mgmtdev.filter((management) => management.bus === bus);
  const driven = parents.flatMap((management) => {
    const driver = management.driver === 'hardware' ? management.parent?.driver : undefined;
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
      links('/class/block', () =>
        virtioDevices(state).flatMap(({ path, binding: { disk } }) =>
          disk === undefined ? [] : [[diskName(disk.number), `${path}/block/${diskName(disk.number)}`] as const],
        ),
      ),
    net: () =>
      links('/class/net', () =>
        virtioDevices(state).flatMap(({ path, binding: { netdev } }) =>
          netdev === undefined ? [] : [[`eth${netdev.number}`, `${path}/net/eth${netdev.number}`] as const],
        ),
      ),
    vduse: () =>
      links('/class/vduse', () =>
        ['control', ...state.vduse.map(({ name }) => busName(name))].map((name) => [name, instancePath(name)] as const),
      ),
  });
}
