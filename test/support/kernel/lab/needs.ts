import { accessSync, constants, existsSync } from 'node:fs';
import { join } from 'node:path';
import * as nodeTest from 'node:test';
import type { MachineKind } from '../../../../lab/machine/machine.js';
import { machineHere } from './machine-here.js';

/** Exists on kernels with VDUSE. */
export const VDUSE = '/dev/vduse/control';

/** Exist on kernels with the two simulators: their management devices. */
export const SIMULATORS = ['/sys/devices/vdpasim_net', '/sys/devices/vdpasim_blk'] as const;

/** Exists on kernels with the driver vp_vdpa. */
export const VP_VDPA = '/sys/bus/pci/drivers/vp-vdpa';

/** Options of a test that makes sense on one machine of the lab: skips it on others. */
export const needsMachine = (machine: MachineKind): { skip?: string } =>
  machineHere() === machine ? {} : { skip: `it is for the machine ${machine}` };

/**
 * Options of a test that uses other programs, or a part of the kernel: skips it if one is missing, and reports which. On Debian,
 * as root, `npm test` first installs the programs (lab/debian-packages.txt), so that none is skipped.
 *
 * @param things names of programs, and full paths: {@link VDUSE}
 */
export function needs(...things: readonly string[]): { skip?: string } {
  const missing = things.filter((thing) => !(thing.startsWith('/') ? existsSync(thing) : isOnPath(thing)));
  return missing.length === 0 ? {} : { skip: `missing: ${missing.join(' ')}` };
}

function isOnPath(command: string): boolean {
  return (process.env['PATH'] ?? '').split(':').some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

type TestBody = (context: nodeTest.TestContext) => void | Promise<void>;
type SuiteBody = () => void;
type HookBody = () => void | Promise<void>;

interface Define<Body> {
  (name: string, body: Body): void;
  (name: string, options: nodeTest.TestOptions, body: Body): void;
}

/** The parts of node:test that define what is run. */
export interface Tests {
  readonly test: Define<TestBody>;
  readonly describe: Define<SuiteBody>;
  readonly before: (body: HookBody) => void;
  readonly after: (body: HookBody) => void;
  readonly beforeEach: (body: HookBody) => void;
  readonly afterEach: (body: HookBody) => void;
}

/**
 * These functions for a file all of whose tests need something: if it is missing, all tests are skipped, with the reason, and
 * nothing is run before or after them.
 * @param things as {@link needs} takes them
 */
export function testsWith(...things: readonly string[]): Tests {
  const { skip } = needs(...things);
  if (skip === undefined) return nodeTest;
  return {
    test: (name: string) => {
      void nodeTest.test(name, { skip });
    },
    describe: (name: string) => {
      void nodeTest.describe(name, { skip });
    },
    before: () => undefined,
    after: () => undefined,
    beforeEach: () => undefined,
    afterEach: () => undefined,
  };
}
