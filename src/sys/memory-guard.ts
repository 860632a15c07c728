/**
 * Guards against memory that is mapped from a file which another process cuts short: touching what is gone raises SIGBUS
 * (signal(7)), which ends a process that has no handler, and JavaScript can be none. So the handler is machine code, made
 * here: it puts a page of zeros where the page is gone, counts that for the thread, and lets the thread go on.
 */
import { Errno } from './errno.js';
import { SystemError } from './error.js';
import { checked, libc } from './libc.js';
import { mapAnonymous, mapReserve, PROT_EXEC, PROT_READ, pageSize, protect, viewMemory } from './memory.js';

const SIGBUS = 7;
/** si_code of a fault at an address behind which there is nothing; other codes tell of broken hardware. */
const BUS_ADRERR = 2;
const SA_SIGINFO = 4;

/** struct sigaction of glibc: handler, 128 bytes of mask, flags, restorer. */
const sigactionLayout = { handler: 0, flags: 136, length: 152 } as const;

/** One counter for each thread id that there can be (PID_MAX_LIMIT), after a page that stays zero. */
const MAX_THREADS = 4 * 1024 * 1024;
const TABLE_BYTES = pageSize + MAX_THREADS * 4;

const gettid: () => number = libc.func('int gettid()');
const sigaction: (signal: number, action: number, old: number) => number = libc.func(
  'int sigaction(int signal, uintptr_t action, uintptr_t old)',
);

/** Where the counters are; 0 where there is no guard on this architecture. */
let table: number | undefined;

/**
 * Sets the handler up, once for the process. Only the main thread may call it.
 * @returns what {@link LostMemory} of each thread is made with
 * @throws SystemError
 */
export function guardMemory(): number {
  table ??= process.arch === 'x64' ? install() : 0;
  return table;
}

function install(): number {
  const zeros = mapReserve('reserve the counters of lost memory', TABLE_BYTES);
  const code = mapAnonymous('allocate a signal handler', pageSize);
  new Uint8Array(viewMemory(code, pageSize)).set(x64Handler(zeros));
  protect('make a signal handler', code, pageSize, PROT_READ | PROT_EXEC);
  const action = mapAnonymous('allocate a signal action', pageSize);
  const view = new DataView(viewMemory(action, sigactionLayout.length));
  view.setBigUint64(sigactionLayout.handler, BigInt(code), true);
  view.setUint32(sigactionLayout.flags, SA_SIGINFO, true);
  checked('handle SIGBUS', sigaction(SIGBUS, action, 0));
  return zeros;
}

/**
 * void handler(int signal, siginfo_t *info, void *context) of the System V ABI for AMD64. It makes system calls only.
 * @param zeros a page of zeros, which is a struct sigaction of the kernel with SIG_DFL too; the counters follow it
 */
function x64Handler(zeros: number): Uint8Array {
  const u32 = (value: number): number[] => [...new Uint8Array(Uint32Array.of(value).buffer)];
  const u64 = (value: number): number[] => [...new Uint8Array(BigUint64Array.of(BigInt(value)).buffer)];
  const replace = [
    ...[0x48, 0x8b, 0x7e, 0x10], //               mov rdi, [rsi + 16]       info->si_addr
    ...[0x48, 0x81, 0xe7, ...u32(-pageSize)], //  and rdi, -pageSize
    ...[0xbe, ...u32(pageSize)], //               mov esi, pageSize
    ...[0xba, ...u32(3)], //                      mov edx, PROT_READ | PROT_WRITE
    ...[0x41, 0xba, ...u32(0x32)], //             mov r10d, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS
    ...[0x49, 0xc7, 0xc0, ...u32(-1)], //         mov r8, -1
    ...[0x45, 0x31, 0xc9], //                     xor r9d, r9d
    ...[0xb8, ...u32(9)], //                      mov eax, SYS_mmap
    ...[0x0f, 0x05], //                           syscall
    ...[0x48, 0x3d, ...u32(-pageSize)], //        cmp rax, -pageSize        an error number, negative?
  ];
  const count = [
    ...[0xb8, ...u32(186)], //                    mov eax, SYS_gettid
    ...[0x0f, 0x05], //                           syscall
    ...[0x48, 0xba, ...u64(zeros + pageSize)], // mov rdx, the counters
    ...[0xff, 0x04, 0x82], //                     inc dword [rdx + rax * 4]
    ...[0xc3], //                                 ret
  ];
  // Back to what SIGBUS does by default: the fault comes again, and ends the process.
  const giveUp = [
    ...[0xbf, ...u32(SIGBUS)], //                 mov edi, SIGBUS
    ...[0x48, 0xbe, ...u64(zeros)], //            mov rsi, a zeroed struct sigaction
    ...[0x31, 0xd2], //                           xor edx, edx
    ...[0x41, 0xba, ...u32(8)], //                mov r10d, sizeof(sigset_t)
    ...[0xb8, ...u32(13)], //                     mov eax, SYS_rt_sigaction
    ...[0x0f, 0x05], //                           syscall
    ...[0xc3], //                                 ret
  ];
  return Uint8Array.from([
    ...[0x83, 0x7e, 0x08, BUS_ADRERR], //         cmp dword [rsi + 8], BUS_ADRERR
    ...[0x75, replace.length + 2 + count.length], // jne giveUp
    ...replace,
    ...[0x77, count.length], //                   ja giveUp
    ...count,
    ...giveUp,
  ]);
}

/** Tells a thread of the memory that it has lost. */
export class LostMemory {
  readonly #counter: Uint32Array | undefined;
  #seen = 0;

  /** For the thread that calls it. @param guard what {@link guardMemory} gave */
  constructor(guard: number) {
    if (guard === 0) return;
    const thread = gettid();
    if (thread < 0 || thread >= MAX_THREADS)
      throw new SystemError({ operation: 'ask for the thread', errno: Errno.ESRCH });
    this.#counter = new Uint32Array(viewMemory(guard + pageSize + thread * 4, 4));
    this.#seen = this.#counter[0] ?? 0;
  }

  /** Whether pages were lost since the last time it was asked. */
  check(): boolean {
    const now = this.#counter?.[0] ?? 0;
    if (now === this.#seen) return false;
    this.#seen = now;
    return true;
  }
}
