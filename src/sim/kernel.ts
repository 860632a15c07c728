import { align, littleEndian, viewOf } from '../netlink/bytes.js';
import { messageHeaderLength } from '../netlink/message.js';
import { VDPA_CMD_DEV_ATTR_SET, VDPA_CMD_DEV_DEL, VDPA_CMD_DEV_NEW } from '../vdpa/uapi.js';
import { withController } from './netlink/controller.js';
import { Faults } from './vdpa/faults.js';
import type { Fault } from './state/fault.js';
import { handleGenericMessage } from './netlink/genetlink.js';
import { NetlinkSocketEnd } from './netlink/socket.js';
import type { NetlinkSocketOptions } from './netlink/socket.js';
import { vdpaFamily } from './vdpa/family.js';
import type { MachineStore } from './state/store.js';

/** The number of the family in recorded kernels; families are numbered in the order of their registration. */
const usualFamilyId = 0x13;

const changingCommands: readonly number[] = [VDPA_CMD_DEV_NEW, VDPA_CMD_DEV_DEL, VDPA_CMD_DEV_ATTR_SET];

/** The kernel of a simulated machine, as far as netlink sockets see it: generic netlink with the family vdpa. */
export class SimulatedKernel {
  readonly machine: MachineStore;
  readonly #families;
  readonly #familyId: number;
  readonly #ownFaults: boolean;
  #delay = 0;

  /**
   * @param faults in addition to those of the machine.
   * @param familyId the number of the vdpa family.
   */
  constructor(machine: MachineStore, faults: readonly Fault[] = [], familyId: number = usualFamilyId) {
    this.machine = machine;
    const met = new Faults(machine, faults, (milliseconds) => {
      this.#delay += milliseconds;
    });
    this.#familyId = familyId;
    this.#ownFaults = faults.length > 0;
    this.#families = withController([vdpaFamily(familyId, { machine, faults: met })]);
  }

  /** The kernel's end of a new socket. */
  openSocket(port: number, options: NetlinkSocketOptions): NetlinkSocketEnd {
    return new NetlinkSocketEnd((request) => handleGenericMessage(this.#families, request), port, options);
  }

  /** Whether a datagram of requests may change the machine. */
  mayChange(datagram: Uint8Array): boolean {
    // Faults are counted, and make devices vanish.
    if (this.#ownFaults || this.machine.read().machine.faults.length > 0) return true;
    const view = viewOf(datagram);
    for (let at = 0; at + messageHeaderLength < datagram.length;) {
      const length = view.getUint32(at, littleEndian);
      if (length < messageHeaderLength) break;
      const isVdpa = view.getUint16(at + 4, littleEndian) === this.#familyId;
      if (isVdpa && changingCommands.includes(view.getUint8(at + messageHeaderLength))) return true;
      at += align(length);
    }
    return false;
  }

  /** The simulated time that the kernel took since the last call, in milliseconds. */
  takeDelay(): number {
    const delay = this.#delay;
    this.#delay = 0;
    return delay;
  }
}
