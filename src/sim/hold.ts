/** A simulated program that uses a device: `vdpa sim hold`. */
import { constants } from 'node:fs';
import { Errno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';
import { processStart } from '../sys/process-start.js';
import { SimulatedFiles } from './machine/files/simulated-files.js';
import { hold, holdersOf, release } from './machine/holders.js';
import { partNames } from './machine/virtio-bus.js';
import type { Simulation } from './simulation.js';
import { busName, type HolderState, type SimState } from './state/model.js';

/** What a process holds: a node in /dev, or an interface. */
export interface Held {
  /** `/dev/vhost-vdpa-0`, `eth0` */
  readonly what: string;
  /** Ends the use. */
  readonly release: () => void;
}

/**
 * Records this process as a program that has a node open, or uses an interface.
 * @param wanted a device, whose node, disk or interface is held; or one of these: `vhost-vdpa-0`, `/dev/vda`, `eth0`
 * @throws SystemError ENODEV if there is nothing of that name to hold; EBUSY if a process holds it that excludes others,
 * EACCES for users without access; SimulationError
 */
export async function holdPart(simulation: Simulation, wanted: string): Promise<Held> {
  const { store } = simulation;
  await store.prepare();
  const node = partOf(store.read(), wanted);
  const isInterface = /^eth[0-9]+$/.test(node);
  const what = isInterface ? node : `/dev/${node}`;
  const operation = isInterface ? `use ${node}` : `open ${what}`;
  if (!isInterface) new SimulatedFiles(store, simulation.uid).touch(operation, what, constants.O_RDWR);
  const holder: HolderState = { pid: process.pid, started: processStart(process.pid) ?? '0', node };
  store.update((draft) => {
    // Another one may have been faster.
    const isTaken = node.startsWith('vhost-vdpa-') && holdersOf(draft, node).length > 0;
    if (isTaken) throw new SystemError({ operation, errno: Errno.EBUSY });
    if (partOf(draft, node) === node) hold(draft, holder);
  });
  return {
    what,
    release: () => {
      store.update((draft) => {
        release(draft, holder);
      });
    },
  };
}

/** The node, disk or interface of that name, or of the device of that name. @throws SystemError ENODEV */
function partOf(state: SimState, wanted: string): string {
  const parts = new Map<string, readonly string[]>(
    state.devices.map(({ name, binding }) => [
      name,
      binding === undefined
        ? []
        : binding.driver === 'vhost_vdpa'
          ? [`vhost-vdpa-${binding.minor}`]
          : partNames(binding),
    ]),
  );
  const ofDevice = parts.get(busName(wanted));
  const name = wanted.replace(/^\/dev\//, '');
  const found = ofDevice?.[0] ?? [...parts.values()].flat().find((part) => part === name);
  if (found !== undefined) return found;
  const hint = ofDevice
    ? 'The device has no node, disk or interface: bind it to a driver'
    : 'No device, node, disk or interface of that name';
  throw new SystemError({ operation: `hold ${wanted}`, errno: Errno.ENODEV, hint });
}
