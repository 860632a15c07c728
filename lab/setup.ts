import { join } from 'node:path';
import { canUseArchive } from './apt.js';
import type { Lab } from './boot.js';
import { checkoutRoot } from './cache.js';
import { chooseGuestUser } from './guest-user.js';
import { LabError, findCommand, isDebian } from './host.js';
import { fetchLibblkio, findLibblkio } from './libblkio.js';
import { buildKernel, builtKernel } from './kernel/build.js';
import { cachedDebianKernel, fetchDebianKernel } from './kernel/debian.js';
import { givenKernel, givenKernelVariable, importKernel } from './kernel/given.js';
import type { Machine, MachineKind } from './machine/machine.js';
import { MACHINE_KINDS, isMachineKind, programOf } from './machine/machine.js';
import type { Missing, Need } from './packages.js';
import { providePackages } from './packages.js';
import { say } from './progress.js';
import { fetchQemu, findQemu } from './qemu.js';
import { fetchReference, findReference } from './reference.js';

/** Why there can be no lab on this machine, and what to do, in one line. */
export interface NoLab {
  readonly missing: string;
}

/**
 * The requested machine: by an argument, otherwise by VDPA_LAB_MACHINE; the first one by default.
 * @throws {LabError} if there is no such machine
 */
export function chosenMachine(word = process.env['VDPA_LAB_MACHINE'] ?? ''): MachineKind {
  if (word === '') return MACHINE_KINDS[0];
  if (isMachineKind(word)) return word;
  throw new LabError(`unknown machine "${word}"; expected ${MACHINE_KINDS.join(', ')}`);
}

/** The kernel that a machine currently starts with; undefined if it has to be built or fetched. */
const readyKernel = (machine: MachineKind): string | undefined =>
  machine === 'debian' ? cachedDebianKernel()?.kernel : (givenKernel(machine) ?? builtKernel(machine));

/**
 * Installs missing packages that machines of the lab need, if permitted; see `providePackages`.
 *
 * @param extras what tests need beyond the lab itself
 * @returns what is still missing
 */
export async function provideFor(machines: readonly MachineKind[], extras: readonly Need[] = []): Promise<Missing> {
  if (process.arch !== 'x64' || machines.length === 0) return new Map();
  const builds = machines.some((machine) => readyKernel(machine) === undefined);
  return providePackages(['guest', 'reference', ...(builds ? (['kernel'] as const) : []), ...extras]);
}

/**
 * Sets up the lab: installs packages, builds the kernel, and fetches QEMU and iproute2's vdpa, unless they are there. The next
 * time all of it is quick. What lacks a package is skipped.
 *
 * @param extras what tests need beyond the lab itself
 * @param provided what is missing, if that has already been determined
 * @throws {LabError} if something that should work fails
 */
export async function prepareLab(
  extras: readonly Need[] = [],
  machine: MachineKind = chosenMachine(),
  provided?: Missing,
): Promise<Lab | NoLab> {
  if (process.arch !== 'x64') return { missing: "the lab's machines run on x86-64 only" };
  const ready = readyKernel(machine);
  const missing = provided ?? (await provideFor([machine], extras));
  const guestMissing = missing.get('guest') ?? [];
  if (guestMissing.length > 0) return { missing: `missing to boot it: ${guestMissing.join(' ')}` };
  const archive = isDebian() && canUseArchive();
  if (machine !== 'uml' && (await findQemu()) === undefined) {
    if (!archive) return { missing: 'missing to boot it: qemu-system-x86_64, 10.0 or newer' };
    try {
      await fetchQemu();
    } catch (error) {
      if (!(error instanceof LabError)) throw error;
      return {
        missing: `missing to boot it: QEMU, which could not be fetched: ${error.message.replaceAll('\n', ' ')}`,
      };
    }
  }
  if (ready === undefined) {
    const kernelMissing = archive ? (missing.get('kernel') ?? []) : ["Debian's package sources"];
    if (kernelMissing.length > 0) {
      return {
        missing:
          machine === 'debian'
            ? `missing to fetch its kernel: ${kernelMissing.join(' ')}`
            : `missing to build its kernel: ${kernelMissing.join(' ')}; or set ${givenKernelVariable(machine)} to a ready one`,
      };
    }
    if (machine === 'debian') await fetchDebianKernel();
    else await buildKernel(machine);
  }
  if ((await findReference()) === undefined) {
    if (archive && (missing.get('reference') ?? []).length === 0) await fetchReference();
    else say("left out: iproute2's vdpa, 6.15 or newer, and the comparisons with it");
  }
  if (extras.includes('vduse') && findLibblkio() === undefined) {
    try {
      if (!archive) throw new LabError("it is fetched from Debian's archive");
      await fetchLibblkio();
    } catch (error) {
      if (!(error instanceof LabError)) throw error;
      say(`left out: the test that uses libblkio: ${error.message.replaceAll('\n', ' ')}`);
    }
  }
  const extrasMissing = extras.flatMap((need) => missing.get(need) ?? []);
  if (extrasMissing.length > 0) say(`left out: the tests that use ${extrasMissing.join(' ')}`);
  return findLab(machine);
}

/** The lab as it is, without fetching, building or installing anything. */
export async function findLab(kind: MachineKind = chosenMachine()): Promise<Lab | NoLab> {
  const machine = await findMachine(kind);
  if ('missing' in machine) return machine;
  const busybox = findCommand('busybox');
  if (busybox === undefined) return { missing: 'missing to boot it: busybox' };
  const reference = await findReference();
  const readable = [
    ...[join(checkoutRoot, 'lab/init.sh'), join(checkoutRoot, 'node_modules'), process.execPath],
    machine.kernel,
  ];
  return {
    machine,
    busybox,
    reference,
    libblkio: findLibblkio(),
    user: chooseGuestUser({ program: programOf(machine), readable }),
  };
}

async function findMachine(kind: MachineKind): Promise<Machine | NoLab> {
  const howTo = `run \`npm run lab -- --machine ${kind} true\``;
  if (kind === 'debian') {
    const kernel = cachedDebianKernel();
    const qemu = await findQemu();
    if (kernel === undefined) return { missing: `its kernel is not fetched yet: ${howTo}` };
    return qemu === undefined ? { missing: `QEMU is not fetched yet: ${howTo}` } : { kind, ...kernel, qemu };
  }
  const given = givenKernel(kind);
  const kernel = given === undefined ? builtKernel(kind) : await importKernel(kind, given);
  if (kernel === undefined) return { missing: `its kernel is not built yet: ${howTo}` };
  if (kind === 'uml') return { kind, kernel };
  const qemu = await findQemu();
  return qemu === undefined ? { missing: `QEMU is not fetched yet: ${howTo}` } : { kind, kernel, qemu };
}
