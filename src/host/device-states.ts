/** Tracks the reported state of each device on the vdpa bus, to find differences after events were lost. */
import type { BusDevice } from '../sysfs/bus.js';
import type { VdpaDevice } from '../vdpa/model.js';
import type { UntimedEvent } from './events.js';

/** The state of a device that events report. */
export interface DeviceState {
  /** Absent if it was removed before the kernel could be queried. */
  readonly device?: VdpaDevice | undefined;
  readonly driver?: string | undefined;
  readonly vhost?: string | undefined;
  readonly netdev?: string | undefined;
  readonly block?: string | undefined;
}

/** The devices as reported. */
export class DeviceStates {
  readonly #states = new Map<string, DeviceState>();

  /** Records the current state of a device. */
  set(name: string, state: DeviceState): void {
    this.#states.set(name, state);
  }

  get(name: string): DeviceState {
    return this.#states.get(name) ?? {};
  }

  /** Records a reported event. */
  record(event: UntimedEvent): void {
    if (event.object !== 'dev') return;
    const { name } = event;
    const before = this.get(name);
    switch (event.event) {
      case 'added':
        this.#states.set(name, { device: event.device });
        break;
      case 'removed':
        this.#states.delete(name);
        break;
      case 'bound':
        this.#states.set(name, { ...before, driver: event.driver, vhost: event.vhost });
        break;
      case 'unbound':
        this.#states.set(name, { ...before, driver: undefined, vhost: undefined });
        break;
      case 'changed':
        this.#states.set(name, { ...before, ...partAfter(before, event) });
    }
  }
}

type Changed = Extract<UntimedEvent, { readonly event: 'changed'; readonly object: 'dev' }>;

function partAfter(before: DeviceState, { part, partName, change }: Changed): DeviceState {
  if (part === 'device') return {};
  const known = before[part];
  if (change === 'removed') return known === partName ? { [part]: undefined } : {};
  // Partitions are not disks.
  return change === 'renamed' || (change === 'added' && known === undefined) ? { [part]: partName } : {};
}

/** A device as the bus and the kernel have it. */
export function stateOf(onBus: BusDevice | undefined, device: VdpaDevice | undefined): DeviceState {
  return {
    device,
    driver: onBus?.driver,
    vhost: onBus?.vhost,
    netdev: onBus?.netdev,
    block: onBus?.block,
  };
}

/** The events that a device must have had in the meantime, in the kernel's order. */
export function* differences(name: string, before: DeviceState, now: DeviceState): Generator<UntimedEvent> {
  const dev = { object: 'dev', name } as const;
  const isOther = before.device !== undefined && now.device !== undefined && !isSame(before.device, now.device);
  const rebound =
    isOther ||
    before.driver !== now.driver ||
    (before.vhost !== undefined && now.vhost !== undefined && before.vhost !== now.vhost);
  const partChange = (part: 'netdev' | 'block', partName: string, change: string): UntimedEvent => ({
    ...dev,
    event: 'changed',
    part,
    partName,
    change,
  });
  const renamed = !rebound && before.netdev !== undefined && now.netdev !== undefined && before.netdev !== now.netdev;
  const parts = (['netdev', 'block'] as const).filter(
    (part) => (rebound || before[part] !== now[part]) && !(part === 'netdev' && renamed),
  );
  for (const part of parts) {
    const partName = before[part];
    if (partName !== undefined) yield partChange(part, partName, 'removed');
  }
  if (rebound && before.driver !== undefined) yield { ...dev, event: 'unbound' };
  if (isOther) {
    yield { ...dev, event: 'removed' };
    yield { ...dev, event: 'added', device: now.device };
  }
  for (const part of parts) {
    const partName = now[part];
    if (partName !== undefined) yield partChange(part, partName, 'added');
  }
  if (renamed) {
    yield { ...dev, event: 'changed', part: 'netdev', partName: now.netdev, change: 'renamed', oldName: before.netdev };
  }
  if (rebound && now.driver !== undefined) {
    yield { ...dev, event: 'bound', driver: now.driver, ...(now.vhost !== undefined && { vhost: now.vhost }) };
  }
}

/** Whether a device of the same name has the same class and the same management device. */
function isSame(one: VdpaDevice, other: VdpaDevice): boolean {
  return one.deviceId === other.deviceId && one.managementDevice === other.managementDevice;
}
