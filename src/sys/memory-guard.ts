/**
 * Guards against memory mapped from a file that another process truncates: accessing the missing part raises SIGBUS
 * (signal(7)), which ends a process without a handler, and JavaScript cannot be a signal handler. The handler is
 * therefore machine code, see sigbus-handler.ts: it replaces the mapping by zeroed memory, counts that for the thread,
 * and continues it.
 *
 * The functions of guarded-copy.ts do not read zeros: they end and return an error.
 *
 * Only mappings that a thread has registered are guarded, against accesses of that thread. Any other SIGBUS has its
 * previous effect: it reports broken hardware, or an unreadable program file, and zeros there would be wrong data.
 */
import { Errno } from './errno.js';
import { SystemError } from './error.js';
import { FAIL_OFFSET, x64Copies } from './guarded-copy.js';
import { checked, libc } from './libc.js';
import { mapAnonymous, mapReserve, PROT_EXEC, PROT_READ, pageSize, protect, viewMemory } from './memory.js';
import {
  GUARDED_BYTES,
  KERNEL_SIGACTION_BYTES,
  SIGBUS,
  THREAD_BYTES,
  threadField,
  x64Handler,
} from './sigbus-handler.js';

export { GUARDED_BYTES };

const SA_SIGINFO = 4;

/** struct sigaction of glibc: handler, 128 bytes of mask, flags, restorer. */
const glibcAction = { handler: 0, mask: 8, flags: 136, restorer: 144, length: 152 } as const;
/** That of the kernel, whose mask is one word. */
const kernelAction = { handler: 0, flags: 8, restorer: 16, mask: 24 } as const;

/** The second half of the handler's page contains the copy functions. */
const COPIES_OFFSET = 2048;

/** The highest possible thread id (PID_MAX_LIMIT). */
const MAX_THREADS = 4 * 1024 * 1024;

const gettid: () => number = libc.func('int gettid()');
const sigaction: (signal: number, action: number, old: number) => number = libc.func(
  'int sigaction(int signal, uintptr_t action, uintptr_t old)',
);

let installed: MemoryGuard | undefined;

/** The handler that a process has installed, for its threads. */
export interface MemoryGuard {
  /** The address of the table of guarded threads. */
  readonly threads: number;
  /** The address of the copy functions, see guarded-copy.ts. */
  readonly copies: number;
}

/**
 * Installs the handler, once per process. Only the main thread may call it.
 * @returns the argument for {@link LostMemory} of each thread; undefined on architectures without a guard
 * @throws SystemError
 */
export function installMemoryGuard(): MemoryGuard | undefined {
  if (process.arch === 'x64') installed ??= install();
  return installed;
}

function install(): MemoryGuard {
  const table = mapReserve('reserve the table of guarded threads', MAX_THREADS * THREAD_BYTES);
  const before = mapAnonymous('allocate a signal action', pageSize);
  const code = mapAnonymous('allocate a signal handler', pageSize);
  const action = mapAnonymous('allocate a signal action', pageSize);
  checked('get the SIGBUS handler', sigaction(SIGBUS, 0, action));
  const view = new DataView(viewMemory(action, glibcAction.length));
  const words = new DataView(viewMemory(before, KERNEL_SIGACTION_BYTES));
  for (const field of ['handler', 'restorer', 'mask'] as const) {
    words.setBigUint64(kernelAction[field], view.getBigUint64(glibcAction[field], true), true);
  }
  words.setUint32(kernelAction.flags, view.getUint32(glibcAction.flags, true), true);
  protect('keep a signal action', before, pageSize, PROT_READ);
  const codeBytes = new Uint8Array(viewMemory(code, pageSize));
  const copies = code + COPIES_OFFSET;
  codeBytes.set(x64Handler(table, before, copies, copies + FAIL_OFFSET));
  codeBytes.set(x64Copies, COPIES_OFFSET);
  protect('create a signal handler', code, pageSize, PROT_READ | PROT_EXEC);
  view.setBigUint64(glibcAction.handler, BigInt(code), true);
  view.setBigUint64(glibcAction.mask, 0n, true);
  view.setUint32(glibcAction.flags, SA_SIGINFO, true);
  checked('handle SIGBUS', sigaction(SIGBUS, action, 0));
  return { threads: table, copies };
}

/** The guard of one thread: it reports the memory that the thread has lost. */
export class LostMemory {
  readonly #thread: DataView | undefined;
  #seen = 0;

  /**
   * For the calling thread.
   * @param guard the result of {@link installMemoryGuard}
   * @param mappings the address of the table of guarded mappings, of GUARDED_BYTES: pairs of u64, address and length,
   * whole pages; a length of 0 marks a free entry. It must exist until {@link end}.
   * @throws SystemError
   */
  constructor(guard: MemoryGuard | undefined, mappings: number) {
    if (guard === undefined) return;
    const thread = gettid();
    if (thread < 0 || thread >= MAX_THREADS)
      throw new SystemError({ operation: 'get the thread ID', errno: Errno.ESRCH });
    this.#thread = new DataView(viewMemory(guard.threads + thread * THREAD_BYTES, THREAD_BYTES));
    this.#seen = this.#thread.getUint32(threadField.lost, true);
    this.#thread.setBigUint64(threadField.mappings, BigInt(mappings), true);
  }

  /** Whether a mapping was lost since the last call. */
  check(): boolean {
    const now = this.#thread?.getUint32(threadField.lost, true) ?? 0;
    if (now === this.#seen) return false;
    this.#seen = now;
    return true;
  }

  /** Ends the guard of the thread, whose id may be reused. */
  end(): void {
    this.#thread?.setBigUint64(threadField.mappings, 0n, true);
  }
}
