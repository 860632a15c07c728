import type { Io } from '../../src/cli/io.js';
import { run } from '../../src/cli/run.js';
import { SimulatedKernel } from '../../src/sim/kernel.js';
import { MemoryStore } from '../../src/sim/machine.js';
import { bootedState, defaultMachine } from '../../src/sim/state.js';
import { SimulatedTransport } from '../../src/sim/transport.js';

/** How a command line ended, and what it said. */
export interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command line in this process, with an empty environment and nothing but its own streams. */
export async function vdpa(argv: readonly string[], io: Partial<Io> = {}): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  const status = await run(argv, {
    env: {},
    stdout: (text) => (stdout += text),
    stderr: (text) => (stderr += text),
    ...io,
  });
  return { status, stdout, stderr };
}

/** A simulated machine of its own: what a command changes there, the next one sees. */
export class TestMachine {
  readonly store = new MemoryStore(bootedState(defaultMachine));
  readonly #kernel = new SimulatedKernel(this.store);

  /** Runs a command line on it. */
  vdpa(argv: readonly string[], io: Partial<Io> = {}): Promise<Outcome> {
    return vdpa(argv, { openTransport: () => new SimulatedTransport(this.#kernel), ...io });
  }
}

/** The same lines, each ended. */
export function lines(...text: string[]): string {
  return text.map((line) => `${line}\n`).join('');
}
