/** The processors that a thread may run on: sched_setaffinity(2). */
import { readFileSync } from 'node:fs';
import { checked, libc } from './libc.js';
import { MAX_PROCESSORS, parseProcessorList } from './processor-list.js';

const MASK_BYTES = MAX_PROCESSORS / 8;
/** The calling thread. */
const SELF = 0;

const getAffinity: (thread: number, length: number, mask: Uint8Array) => number = libc.func(
  'int sched_getaffinity(int thread, size_t length, _Out_ uint8_t *mask)',
);
const setAffinity: (thread: number, length: number, mask: Uint8Array) => number = libc.func(
  'int sched_setaffinity(int thread, size_t length, const uint8_t *mask)',
);

/** The processors that the calling thread may run on, in ascending order; those that are offline are not among them. */
export function allowedProcessors(): number[] {
  const mask = new Uint8Array(MASK_BYTES);
  checked('get the processors of this thread', getAffinity(SELF, MASK_BYTES, mask));
  return Array.from({ length: MAX_PROCESSORS }, (_, processor) => processor).filter(
    (processor) => ((mask[processor >>> 3] ?? 0) & (1 << (processor & 7))) !== 0,
  );
}

/** Lets the calling thread run on these processors only. @throws SystemError: EINVAL if it may run on none of them */
export function runOn(...processors: readonly number[]): void {
  const mask = new Uint8Array(MASK_BYTES);
  for (const processor of processors) mask[processor >>> 3] = (mask[processor >>> 3] ?? 0) | (1 << (processor & 7));
  checked(`run on processor ${processors.join()}`, setAffinity(SELF, MASK_BYTES, mask));
}

/** The processors of this machine that are online. @returns undefined if sysfs is not mounted */
export function onlineProcessors(): number[] | undefined {
  try {
    return parseProcessorList(readFileSync('/sys/devices/system/cpu/online', 'latin1').trim());
  } catch {
    return undefined;
  }
}
