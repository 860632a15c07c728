import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { addToCache, cacheFolder } from '../cache.js';
import { LabError, requireCommand, runProgram } from '../host.js';
import type { BuiltMachine } from '../machine/machine.js';

/** Names a ready kernel for a machine, to use instead of a built one; plain or compressed with xz. */
const VARIABLES = { uml: 'VDPA_LAB_KERNEL', qemu: 'VDPA_LAB_KERNEL_QEMU' } as const satisfies Record<
  BuiltMachine,
  string
>;

/** The variable for a machine's ready kernel, for messages. */
export const givenKernelVariable = (machine: BuiltMachine): string => VARIABLES[machine];

/** The path in the machine's variable; undefined if it is unset or empty. */
export function givenKernel(machine: BuiltMachine): string | undefined {
  const path = process.env[VARIABLES[machine]];
  return path === '' ? undefined : path;
}

/**
 * Copies a ready kernel into the cache, uncompressed and named after its content: the guest's user may not be able to read it
 * where it is.
 *
 * @returns the copy's path
 * @throws {LabError} if the file cannot be read, or is not such a kernel
 */
export async function importKernel(machine: BuiltMachine, path: string): Promise<string> {
  const problem = (error: unknown): LabError =>
    new LabError(
      `${VARIABLES[machine]}=${path} is not a usable kernel: ${error instanceof Error ? error.message : String(error)}`,
    );
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch (error) {
    throw problem(error);
  }
  const digest = createHash('sha256').update(content).digest('hex').slice(0, 16);
  const name = machine === 'uml' ? `given-${digest}` : `given-${machine}-${digest}`;
  const entry = join(cacheFolder(), name);
  if (existsSync(entry)) return entry;
  return addToCache(async (work) => {
    const copy = join(work, 'kernel');
    try {
      if (content.subarray(0, 6).equals(Buffer.from('\xfd7zXZ\0', 'latin1'))) {
        copyFileSync(path, `${copy}.xz`);
        await runProgram(requireCommand('xz', 'xz-utils'), ['-d', `${copy}.xz`]);
      } else {
        copyFileSync(path, copy);
      }
      chmodSync(copy, 0o755);
      if (machine === 'uml') await runProgram(copy, ['--version']);
      else checkPvhKernel(readFileSync(copy));
    } catch (error) {
      throw problem(error);
    }
    return { path: copy, name };
  });
}

/** The header of the ELF note XEN_ELFNOTE_PHYS32_ENTRY (xen/interface/elfnote.h), with a value of 4 or 8 bytes. */
const pvhNotes = [4, 8].map((size) =>
  Buffer.from(`04000000${size.toString().padStart(2, '0')}00000012000000` + '58656e00', 'hex'),
);

/** @throws {LabError} unless it is an ELF file with a PVH entry point */
function checkPvhKernel(kernel: Buffer): void {
  if (!kernel.subarray(0, 4).equals(Buffer.from('\x7fELF', 'latin1'))) throw new LabError('it is not an ELF file');
  if (!pvhNotes.some((note) => kernel.includes(note))) {
    throw new LabError('it has no PVH entry; build vmlinux with CONFIG_PVH=y');
  }
}
