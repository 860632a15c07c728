import assert from 'node:assert/strict';
import { SimulatedKernel } from '../../../../src/sim/kernel.js';
import type { NetlinkSocketOptions } from '../../../../src/sim/netlink/socket.js';
import { bootState, bareMachine } from '../../../../src/sim/state/model.js';
import type { MachineState } from '../../../../src/sim/state/model.js';
import { VdpaClient } from '../../../../src/vdpa/client.js';
import { ask, play } from '../../exchange.js';
import type { NetlinkEnd, Step } from '../../exchange.js';
import { KernelSocket } from '../../kernel-socket.js';
import { deletion } from '../../request-generator.js';
import { MemoryStore } from '../../../../src/sim/state/store.js';

/** The default socket options. */
const usualOptions: NetlinkSocketOptions = { extendedAck: true, cappedAck: true };

/** Options for a pair of sockets. */
export interface PairOptions extends Partial<NetlinkSocketOptions> {
  /** For the simulated one; the real one depends on the privileges of the process. */
  readonly privileged?: boolean;
}

/** The machine's kernel and a simulated one, which get the same requests and must give the same answers. */
export class Twins {
  /** The ID of the vdpa family in both. */
  readonly familyId: number;
  readonly #store: MemoryStore;
  readonly #simulated: SimulatedKernel;
  /** Datagrams sent to each, and datagrams that each answered. */
  sent = 0;
  answered = 0;

  private constructor(familyId: number, machine: MachineState) {
    this.familyId = familyId;
    this.#store = new MemoryStore(bootState(machine));
    this.#simulated = new SimulatedKernel(this.#store, [], familyId);
  }

  /** Both kernels, without devices. */
  static async start(machine: MachineState = bareMachine): Promise<Twins> {
    const client = await VdpaClient.open();
    for (const { name } of await client.devices()) await client.deleteDevice(name);
    await client.close();
    return new Twins(client.family.id, machine);
  }

  /** The names of the devices that the simulated kernel has, in order. */
  get devices(): string[] {
    return this.#store.read().devices.map(({ name }) => name);
  }

  /** Opens a socket to each. */
  open(options: PairOptions = {}): Pair {
    const told = { ...usualOptions, ...options };
    const end = this.#simulated.openSocket(0, told);
    const simulated: NetlinkEnd = {
      send: (datagram) => {
        end.deliver(datagram, options.privileged ?? true);
      },
      receive: (size) => end.receive(size),
      close: () => undefined,
    };
    return new Pair(this, new KernelSocket(told), simulated);
  }

  /** Deletes all devices of both. */
  clean(): void {
    const pair = this.open();
    for (const name of this.devices) pair.exchange(ask(deletion(this.familyId, name)), `delete ${name}`);
    pair.close();
  }
}

/** A socket to the machine's kernel, and one to the simulated kernel. */
export class Pair {
  readonly #twins: Twins;
  readonly #real: NetlinkEnd;
  readonly #simulated: NetlinkEnd;

  constructor(twins: Twins, real: NetlinkEnd, simulated: NetlinkEnd) {
    this.#twins = twins;
    this.#real = real;
    this.#simulated = simulated;
  }

  /**
   * Does the same with both, and returns their answers.
   * @throws AssertionError if they answered differently
   */
  exchange(steps: readonly Step[], what: string): string[] {
    const expected = play(this.#real, steps);
    const actual = play(this.#simulated, steps);
    this.#twins.sent += steps.filter((step) => 'send' in step).length;
    this.#twins.answered += expected.length;
    if (expected.join() !== actual.join()) {
      const sent = steps.flatMap((step) => ('send' in step ? [Buffer.from(step.send).toString('hex')] : []));
      assert.deepEqual(
        actual,
        expected,
        `${what}: after ${sent.join(' and ')}, with ${this.#twins.devices.join(', ')}`,
      );
    }
    return expected;
  }

  close(): void {
    this.#real.close();
    this.#simulated.close();
  }
}
