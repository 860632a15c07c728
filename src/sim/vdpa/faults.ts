/** Fault injection in the simulated machine, to test scripts. */
import { Errno } from '../../sys/errno.js';
import type { ErrnoName } from '../../sys/errno.js';
import * as uapi from '../../vdpa/uapi.js';
import type { Extack } from '../netlink/extack.js';
import { faultCommands } from '../state/fault.js';
import type { Fault } from '../state/fault.js';
import type { GenlRequest } from '../netlink/genetlink.js';
import { unplugDevice } from '../machine/bus.js';
import { findDevice } from '../machine/devices.js';
import { whenReleased } from '../machine/holders.js';
import { Refusal } from '../netlink/refusal.js';
import type { MachineStore } from '../state/store.js';

/** Counts matching requests. */
interface Counted {
  readonly fault: Fault;
  /** Increments the counter and returns its previous value. */
  readonly count: () => number;
}

/** The faults of a list while it is dumped. */
export interface DumpFaults {
  /** Called before the entry `name`, which is entry number `index`. @throws Refusal */
  before(name: string, index: number, extack: Extack): void;
  /** Called after it; returns whether the device disappeared. */
  after(name: string): 'gone' | 'there';
}

/** The faults of a machine, and those of this process. */
export class Faults {
  readonly #machine: MachineStore;
  readonly #own: readonly Counted[];
  readonly #sleep: (milliseconds: number) => void;

  /**
   * @param own faults in addition to those of the machine; counted in this process only.
   * @param sleep delays the answer by a number of milliseconds.
   */
  constructor(machine: MachineStore, own: readonly Fault[], sleep: (milliseconds: number) => void) {
    this.#machine = machine;
    this.#sleep = sleep;
    this.#own = own.map((fault) => {
      let hits = 0;
      return { fault, count: () => hits++ };
    });
  }

  /** Applies faults to a request for one device. @throws Refusal */
  meet(command: uapi.VdpaCommandNumber, request: GenlRequest): void {
    const device = request.attributes.cString(uapi.VDPA_ATTR_DEV_NAME);
    for (const counted of this.#all()) {
      const { fault } = counted;
      if (!concerns(fault, command, request) || (fault.device !== undefined && fault.device !== device)) continue;
      if (!isDue(counted)) continue;
      if (fault.delay !== undefined) this.#sleep(fault.delay);
      if (fault.vanish === true && device !== undefined) this.#unplug(device);
      if (fault.errno !== undefined) refuse(fault.errno, fault.message, request.extack);
    }
  }

  /** Applies faults to a request for a list; returns those for its entries. @throws Refusal */
  meetDump(command: uapi.VdpaCommandNumber, request: GenlRequest): DumpFaults | undefined {
    const due = this.#all().filter((counted) => concerns(counted.fault, command, request) && isDue(counted));
    for (const { fault } of due) {
      if (fault.delay !== undefined) this.#sleep(fault.delay);
      if (fault.errno !== undefined && fault.device === undefined && fault.after === undefined) {
        refuse(fault.errno, fault.message, request.extack);
      }
    }
    if (due.length === 0) return undefined;
    return {
      before: (name, index, extack) => {
        for (const { fault } of due) {
          const now = fault.device === undefined ? index === fault.after : name === fault.device;
          if (fault.errno !== undefined && now) refuse(fault.errno, fault.message, extack);
        }
      },
      after: (name) => {
        const vanishes = due.some(({ fault }) => fault.vanish === true && fault.device === name);
        if (vanishes) this.#unplug(name);
        return vanishes ? 'gone' : 'there';
      },
    };
  }

  #all(): readonly Counted[] {
    const ofMachine = this.#machine.read().machine.faults.map((fault, index) => ({
      fault,
      count: () =>
        this.#machine.update((state) => {
          const hits = state.fault_hits[index] ?? 0;
          state.fault_hits = state.machine.faults.map(
            (_fault, at) => (state.fault_hits[at] ?? 0) + (at === index ? 1 : 0),
          );
          return hits;
        }),
    }));
    return [...ofMachine, ...this.#own];
  }

  #unplug(name: string): void {
    whenReleased(() => {
      this.#machine.update((state) => {
        const device = findDevice(state, name);
        if (device !== undefined) unplugDevice(state, device);
      });
    });
  }
}

/** Whether a fault applies to such requests. */
function concerns(fault: Fault, command: uapi.VdpaCommandNumber, request: GenlRequest): boolean {
  if (faultCommands[fault.command] !== command) return false;
  if (fault.mgmtdev === undefined) return true;
  const bus = request.attributes.cString(uapi.VDPA_ATTR_MGMTDEV_BUS_NAME);
  const name = request.attributes.cString(uapi.VDPA_ATTR_MGMTDEV_DEV_NAME);
  return fault.mgmtdev === (bus === undefined ? name : `${bus}/${name ?? ''}`);
}

/** Whether it occurs this time. Only counted faults change the state. */
function isDue({ fault, count }: Counted): boolean {
  if (fault.skip === undefined && fault.times === undefined) return true;
  const before = count() - (fault.skip ?? 0);
  return before >= 0 && before < (fault.times ?? Infinity);
}

function refuse(errno: ErrnoName, message: string | undefined, extack: Extack): never {
  if (message !== undefined) extack.message = message;
  throw new Refusal(Errno[errno]);
}
