import { join } from 'node:path';
import { canUseArchive } from './apt.js';
import type { Lab } from './boot.js';
import { buildKernel, builtKernel } from './build-kernel.js';
import { checkoutRoot } from './cache.js';
import { chooseGuestUser } from './guest-user.js';
import { findCommand, isDebian } from './host.js';
import { givenKernel, importKernel } from './kernel.js';
import type { Need } from './packages.js';
import { canInstall, installPackages, missingPackages } from './packages.js';
import { say } from './progress.js';
import { cachedReference, fetchReference, systemReference } from './reference.js';

/** Why there can be no lab on this machine, and what to do: for people, one line. */
export interface NoLab {
  readonly missing: string;
}

/**
 * Makes the lab ready: as root on Debian it installs the packages of lab/debian-packages.txt that are missing; it builds
 * the kernel and fetches iproute2's vdpa unless they are there. All of it is quick the next time.
 *
 * @param extras what tests need beyond the lab itself; what of it is missing is told in one line
 * @throws {LabError} when something that should work fails
 */
export async function prepareLab(extras: readonly Need[] = []): Promise<Lab | NoLab> {
  if (process.arch !== 'x64') return { missing: 'User-Mode Linux runs on x86-64 machines only' };
  const ready = givenKernel() ?? builtKernel();
  const needs: Need[] = ready === undefined ? ['guest', 'reference', 'kernel'] : ['guest', 'reference'];
  const missing = await provide([...needs, ...extras]);
  const guestMissing = missing.get('guest') ?? [];
  if (guestMissing.length > 0) return { missing: `missing to boot it: ${guestMissing.join(' ')}` };
  if (ready === undefined) {
    const kernelMissing = isDebian() && canUseArchive() ? (missing.get('kernel') ?? []) : ["Debian's package sources"];
    if (kernelMissing.length > 0) {
      return {
        missing: `missing to build its kernel: ${kernelMissing.join(' ')}; or set VDPA_LAB_KERNEL to a ready one`,
      };
    }
    await buildKernel();
  }
  const reference = cachedReference() ?? (await systemReference());
  if (reference === undefined) {
    if (isDebian() && canUseArchive()) await fetchReference();
    else say("missing: iproute2's vdpa, 6.15 or newer; the comparisons with it are left out");
  }
  const extrasMissing = extras.flatMap((need) => missing.get(need) ?? []);
  if (extrasMissing.length > 0) say(`missing: ${extrasMissing.join(' ')}; the tests that need it are left out`);
  return findLab();
}

/** The lab as it is, with nothing fetched, built or installed. */
export async function findLab(): Promise<Lab | NoLab> {
  const given = givenKernel();
  const kernel = given === undefined ? builtKernel() : await importKernel(given);
  if (kernel === undefined) return { missing: 'its kernel is not built yet: `npm run lab true` does that' };
  const busybox = findCommand('busybox');
  if (busybox === undefined) return { missing: 'missing to boot it: busybox' };
  const reference = cachedReference() ?? (await systemReference());
  const readable = [join(checkoutRoot, 'lab/init.sh'), join(checkoutRoot, 'node_modules'), process.execPath];
  return { kernel, busybox, reference, user: chooseGuestUser({ kernel, readable }) };
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
