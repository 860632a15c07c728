/** Orders changes: deletions that free something for another change come before it, other deletions last. */
import { toEntry } from '../../vduse/spec/arguments.js';
import { ownStatus, type VduseInstance } from '../../vduse/daemon/servers.js';
import { ownMac, type ActualDevice } from './actual.js';
import type { Change } from './change.js';
import { macOf, type CapacityOf } from './conflicts.js';
import { exclusiveResources } from './servers.js';

/** Options of the order. */
export interface OrderOptions {
  readonly actual: readonly ActualDevice[];
  readonly instances: readonly VduseInstance[];
  readonly capacityOf: CapacityOf | undefined;
}

/** Changes in their order, and those that wait for each other's slots. */
export interface Order {
  readonly changes: readonly Change[];
  readonly circular: readonly { readonly change: Change; readonly other: string }[];
}

/** @param changes those of the file's devices in the order of the file, then deletions */
export function orderChanges(changes: readonly Change[], options: OrderOptions): Order {
  const things = new Things(changes, options);
  const ordered: Change[] = [];
  const circular: { change: Change; other: string }[] = [];
  const done = new Set<Change>();
  const under = new Set<Change>();
  const put = (change: Change, makesWayFor?: string): void => {
    under.add(change);
    const taken = things.takenBy(change);
    for (const other of changes) {
      const shared = other === change ? [] : things.givenUpBy(other).filter((thing) => taken.includes(thing));
      if (shared.length === 0 || done.has(other)) continue;
      if (!under.has(other)) put(other, change.name);
      // Two devices can temporarily have the same address, but not the same slot.
      else if (shared.some(({ kind }) => kind !== 'mac')) circular.push({ change, other: other.name });
    }
    under.delete(change);
    done.add(change);
    ordered.push(change.action === 'delete' && makesWayFor !== undefined ? { ...change, makesWayFor } : change);
  };
  for (const change of changes) if (!done.has(change)) put(change);
  return { changes: ordered, circular };
}

/** Something that only one device can have at a time. */
interface Thing {
  readonly kind: 'mac' | 'place' | 'file';
  readonly name: string;
}

/** The resources that changes need and free. The same resource is the same object. */
class Things {
  readonly #known = new Map<string, Thing>();
  readonly #instances: ReadonlyMap<string, VduseInstance>;
  /** The management devices on which a deletion is necessary before all additions fit. */
  readonly #crowded: ReadonlySet<string>;

  constructor(changes: readonly Change[], { actual, instances, capacityOf }: OrderOptions) {
    this.#instances = new Map(instances.map((instance) => [instance.name, instance]));
    this.#crowded = new Set(
      changes.flatMap((change) => {
        if (change.action !== 'add' && change.action !== 'replace') return [];
        const { managementDevice } = change.device.spec;
        const handle = managementDevice;
        const present = actual.filter(({ device }) => device.managementDevice === handle).length;
        const coming = changes.filter((other) => takesPlaceOn(other) === handle).length;
        const capacity = capacityOf?.(managementDevice) ?? Infinity;
        return present + coming > capacity ? [handle] : [];
      }),
    );
  }

  /** The exclusive resources that this device will have. */
  takenBy(change: Change): Thing[] {
    if (change.action === 'delete') return [];
    const mac = macOf(change);
    const start = change.action === 'add' || change.action === 'replace' ? change.start : undefined;
    return [
      ...(mac ? [this.#thing('mac', mac)] : []),
      ...this.#place(takesPlaceOn(change)),
      ...(start?.how === 'start'
        ? exclusiveResources(toEntry(start.device)).map((file) => this.#thing('file', file))
        : []),
    ];
  }

  givenUpBy(change: Change): Thing[] {
    if (change.action === 'add' || change.action === 'bind' || change.action === 'serve') return [];
    const { config, device } = change.actual;
    const address = ownMac(config);
    const mac = address ? [this.#thing('mac', address)] : [];
    if (change.action === 'set') return mac;
    const handle = device.managementDevice;
    const status = ownStatus(this.#instances.get(change.name));
    return [
      ...mac,
      // A device that is created again on the same management device uses its own slot.
      ...this.#place(change.action === 'replace' && isInPlace(change) ? undefined : handle),
      ...(status ? exclusiveResources(status.device) : []).map((file) => this.#thing('file', file)),
    ];
  }

  #place(handle: string | undefined): Thing[] {
    return handle !== undefined && this.#crowded.has(handle) ? [this.#thing('place', handle)] : [];
  }

  #thing(kind: Thing['kind'], name: string): Thing {
    const key = `${kind} ${name}`;
    const known = this.#known.get(key) ?? { kind, name };
    this.#known.set(key, known);
    return known;
  }
}

/** The management device on which a change needs a slot that it does not have yet. */
function takesPlaceOn(change: Change): string | undefined {
  if (change.action === 'add' || (change.action === 'replace' && !isInPlace(change))) {
    return change.device.spec.managementDevice;
  }
  return undefined;
}

function isInPlace({ device, actual }: Extract<Change, { readonly action: 'replace' }>): boolean {
  return device.spec.managementDevice === actual.device.managementDevice;
}
