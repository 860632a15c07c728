import { join } from 'node:path';
import { canUseArchive } from './apt.js';
import type { Lab } from './boot.js';
import { checkoutRoot } from './cache.js';
import { chooseGuestUser } from './guest-user.js';
import { LabError, findCommand, isDebian } from './host.js';
import { buildKernel, builtKernel } from './kernel/build.js';
import { givenKernel, givenKernelVariable, importKernel } from './kernel/given.js';
import type { Machine, MachineKind } from './machine/machine.js';
import { MACHINE_KINDS, isMachineKind, programOf } from './machine/machine.js';
import type { Need } from './packages.js';
import { canInstall, installPackages, missingPackages } from './packages.js';
import { say } from './progress.js';
import { fetchQemu, findQemu } from './qemu.js';
import { cachedReference, fetchReference, systemReference } from './reference.js';

/** Why there can be no lab on this machine, and what to do: for people, one line. */
export interface NoLab {
  readonly missing: string;
}

/**
 * The machine that is asked for: by a word, otherwise by VDPA_LAB_MACHINE; the first of all where none is named.
 * @throws {LabError} when there is no such machine
 */
export function chosenMachine(word = process.env['VDPA_LAB_MACHINE'] ?? ''): MachineKind {
  if (word === '') return MACHINE_KINDS[0];
  if (isMachineKind(word)) return word;
  throw new LabError(`unknown machine "${word}"; there are ${MACHINE_KINDS.join(' and ')}`);
}

/**
 * Makes the lab ready: as root on Debian it installs the packages of lab/debian-packages.txt that are missing; it builds
 * the kernel, and fetches QEMU and iproute2's vdpa, unless they are there. All of it is quick the next time.
 *
 * @param extras what tests need beyond the lab itself; what of it is missing is told in one line
 * @throws {LabError} when something that should work fails
 */
export async function prepareLab(
  extras: readonly Need[] = [],
  machine: MachineKind = chosenMachine(),
): Promise<Lab | NoLab> {
  if (process.arch !== 'x64') return { missing: "the lab's machines run on x86-64 only" };
  const ready = givenKernel(machine) ?? builtKernel(machine);
  const needs: Need[] = ready === undefined ? ['guest', 'reference', 'kernel'] : ['guest', 'reference'];
  const missing = await provide([...needs, ...extras]);
  const guestMissing = missing.get('guest') ?? [];
  if (guestMissing.length > 0) return { missing: `missing to boot it: ${guestMissing.join(' ')}` };
  const archive = isDebian() && canUseArchive();
  if (machine === 'qemu' && (await findQemu()) === undefined) {
    if (!archive) return { missing: 'missing to boot it: qemu-system-x86_64, 10.0 or newer' };
    await fetchQemu();
  }
  if (ready === undefined) {
    const kernelMissing = archive ? (missing.get('kernel') ?? []) : ["Debian's package sources"];
    if (kernelMissing.length > 0) {
      return {
        missing: `missing to build its kernel: ${kernelMissing.join(' ')}; or set ${givenKernelVariable(machine)} to a ready one`,
      };
    }
    await buildKernel(machine);
  }
  const reference = cachedReference() ?? (await systemReference());
  if (reference === undefined) {
    if (archive) await fetchReference();
    else say("missing: iproute2's vdpa, 6.15 or newer; the comparisons with it are left out");
  }
  const extrasMissing = extras.flatMap((need) => missing.get(need) ?? []);
  if (extrasMissing.length > 0) say(`missing: ${extrasMissing.join(' ')}; the tests that need it are left out`);
  return findLab(machine);
}

/** The lab as it is, with nothing fetched, built or installed. */
export async function findLab(kind: MachineKind = chosenMachine()): Promise<Lab | NoLab> {
  const machine = await findMachine(kind);
  if ('missing' in machine) return machine;
  const busybox = findCommand('busybox');
  if (busybox === undefined) return { missing: 'missing to boot it: busybox' };
  const reference = cachedReference() ?? (await systemReference());
  const readable = [
    ...[join(checkoutRoot, 'lab/init.sh'), join(checkoutRoot, 'node_modules'), process.execPath],
    machine.kernel,
  ];
  return { machine, busybox, reference, user: chooseGuestUser({ program: programOf(machine), readable }) };
}

async function findMachine(kind: MachineKind): Promise<Machine | NoLab> {
  const given = givenKernel(kind);
  const kernel = given === undefined ? builtKernel(kind) : await importKernel(kind, given);
  const howTo = `\`npm run lab -- --machine ${kind} true\` does that`;
  if (kernel === undefined) return { missing: `its kernel is not built yet: ${howTo}` };
  if (kind === 'uml') return { kind, kernel };
  const qemu = await findQemu();
  return qemu === undefined ? { missing: `QEMU is not fetched yet: ${howTo}` } : { kind, kernel, qemu };
}

/** Installs what is missing for the needs, where it may; returns what is missing still. */
async function provide(needs: readonly Need[]): Promise<Map<Need, string[]>> {
  const missing = new Map<Need, string[]>();
  for (const need of needs) missing.set(need, await missingPackages([need]));
  const names = [...missing.values()].flat();
  if (names.length === 0 || !canInstall()) return missing;
  say(`installing the Debian packages ${names.join(' ')}`);
  await installPackages(names);
  return new Map();
}
