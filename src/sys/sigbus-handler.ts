/** The handler of SIGBUS in machine code, see memory-guard.ts. */

export const SIGBUS = 7;

/** si_code of a fault at an address without memory; other codes report broken hardware. */
const BUS_ADRERR = 2;

/** How many mappings a thread can have. */
const MAX_GUARDED = 4096;
export const GUARDED_BYTES = MAX_GUARDED * 16;

/** For each thread id: u64 the table of its mappings or 0, u32 how many it has lost. */
export const THREAD_BYTES = 16;
export const threadField = { mappings: 0, lost: 8 } as const;

/** Of a ucontext_t: uc_mcontext.gregs[REG_RIP]. */
const CONTEXT_RIP = 168;

/** struct sigaction of the kernel. */
export const KERNEL_SIGACTION_BYTES = 32;

/** PROT_READ | PROT_WRITE. */
const PROTECTION = 3;
/** MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_NORESERVE. */
const FLAGS = 0x4032;

const u32 = (value: number): number[] => [...new Uint8Array(Uint32Array.of(value).buffer)];
const u64 = (value: number): number[] => [...new Uint8Array(BigUint64Array.of(BigInt(value)).buffer)];

/**
 * void handler(int signal, siginfo_t *info, void *context) of the System V ABI for AMD64. It only makes system calls,
 * and accesses no memory except its stack, the siginfo, the tables and the stored action. The return from the signal
 * restores all registers, so it may use any. SIGBUS is blocked while it runs: a fault in the handler itself would end
 * the process.
 *
 * A fault in the functions of guarded-copy.ts ends them. Any other access to a registered mapping reads zeros.
 *
 * @param threads the table of threads
 * @param before the previous struct sigaction of the kernel, which is restored for signals that are not guarded against
 * @param copies the start of those functions; at `copiesEnd` is the code that ends them
 */
export function x64Handler(threads: number, before: number, copies: number, copiesEnd: number): Uint8Array {
  const replace = [
    ...[0xba, ...u32(PROTECTION)], //                     mov edx, PROTECTION
    ...[0x41, 0xba, ...u32(FLAGS)], //                    mov r10d, FLAGS
    ...[0x49, 0xc7, 0xc0, ...u32(-1)], //                 mov r8, -1
    ...[0x45, 0x31, 0xc9], //                             xor r9d, r9d
    ...[0xb8, ...u32(9)], //                              mov eax, SYS_mmap
    ...[0x0f, 0x05], //                                   syscall
    ...[0x48, 0x3d, ...u32(-4096)], //                    cmp rax, -4096            an error number, negative?
    ...[0x77, 4], //                                      ja giveUp
    ...[0xff, 0x43, threadField.lost], //                 inc dword [rbx + lost]
    0xc3, //                                              ret
  ];
  const search = [
    ...[0x48, 0x8b, 0x38], //                             next: mov rdi, [rax]      a mapping: address
    ...[0x48, 0x8b, 0x70, 0x08], //                       mov rsi, [rax + 8]        and length
    ...[0x48, 0x89, 0xd1], //                             mov rcx, rdx
    ...[0x48, 0x29, 0xf9], //                             sub rcx, rdi
    ...[0x48, 0x39, 0xf1], //                             cmp rcx, rsi              unsigned: is the fault in it?
    ...[0x72, 0x0b], //                                   jb replace
    ...[0x48, 0x83, 0xc0, 0x10], //                       add rax, 16
    ...[0x4c, 0x39, 0xc0], //                             cmp rax, r8
    ...[0x72, 0xe5], //                                   jb next
    ...[0xeb, replace.length], //                         jmp giveUp
  ];
  const endCopy = [
    ...[0x49, 0x8b, 0x8d, ...u32(CONTEXT_RIP)], //        mov rcx, [r13 + CONTEXT_RIP]
    ...[0x48, 0xbf, ...u64(copies)], //                   mov rdi, copies
    ...[0x48, 0x29, 0xf9], //                             sub rcx, rdi
    ...[0x48, 0x81, 0xf9, ...u32(copiesEnd - copies)], // cmp rcx, copiesEnd - copies       unsigned
    ...[0x73, 0x15], //                                   jae findTable
    ...[0x48, 0xb9, ...u64(copiesEnd)], //                mov rcx, copiesEnd
    ...[0x49, 0x89, 0x8d, ...u32(CONTEXT_RIP)], //        mov [r13 + CONTEXT_RIP], rcx
    ...[0xff, 0x43, threadField.lost], //                 inc dword [rbx + lost]
    0xc3, //                                              ret
  ];
  const findTable = [
    ...[0x49, 0x8b, 0x54, 0x24, 0x10], //                 mov rdx, [r12 + 16]       info->si_addr
    ...[0x4c, 0x8d, 0x80, ...u32(GUARDED_BYTES)], //      lea r8, [rax + GUARDED_BYTES]
  ];
  const findThread = [
    ...[0x48, 0xc1, 0xe0, 0x04], //                       shl rax, 4                of THREAD_BYTES each
    ...[0x48, 0xbb, ...u64(threads)], //                  mov rbx, threads
    ...[0x48, 0x01, 0xc3], //                             add rbx, rax
    ...[0x48, 0x8b, 0x03], //                             mov rax, [rbx]            its table
    ...[0x48, 0x85, 0xc0], //                             test rax, rax
    ...[0x0f, 0x84, ...u32(endCopy.length + findTable.length + search.length + replace.length)], // je giveUp
  ];
  const begin = [
    ...[0x49, 0x89, 0xf4], //                             mov r12, rsi              info
    ...[0x49, 0x89, 0xd5], //                             mov r13, rdx              context
    ...[0xb8, ...u32(186)], //                            mov eax, SYS_gettid
    ...[0x0f, 0x05], //                                   syscall
    ...[0x89, 0xc5], //                                   mov ebp, eax
    ...[0x41, 0x83, 0x7c, 0x24, 0x08, BUS_ADRERR], //     cmp dword [r12 + 8], BUS_ADRERR     info->si_code
    ...[0x0f, 0x85, ...u32([findThread, endCopy, findTable, search, replace].flat().length)], // jne giveUp
  ];
  // Handling consumes a signal that a process has sent, so it is sent again, to the thread itself.
  const sendAgain = [
    ...[0xb8, ...u32(39)], //                             mov eax, SYS_getpid
    ...[0x0f, 0x05], //                                   syscall
    ...[0x89, 0xc7], //                                   mov edi, eax
    ...[0x89, 0xee], //                                   mov esi, ebp
    ...[0xba, ...u32(SIGBUS)], //                         mov edx, SIGBUS
    ...[0xb8, ...u32(234)], //                            mov eax, SYS_tgkill
    ...[0x0f, 0x05], //                                   syscall
  ];
  // The fault is raised again.
  const giveUp = [
    ...[0xbf, ...u32(SIGBUS)], //                         mov edi, SIGBUS
    ...[0x48, 0xbe, ...u64(before)], //                   mov rsi, before
    ...[0x31, 0xd2], //                                   xor edx, edx
    ...[0x41, 0xba, ...u32(8)], //                        mov r10d, sizeof(sigset_t)
    ...[0xb8, ...u32(13)], //                             mov eax, SYS_rt_sigaction
    ...[0x0f, 0x05], //                                   syscall
    ...[0x41, 0x83, 0x7c, 0x24, 0x08, 0x00], //           cmp dword [r12 + 8], 0    info->si_code: of a fault where positive
    ...[0x7f, sendAgain.length], //                       jg done
    ...sendAgain,
    0xc3, //                                              done: ret
  ];
  return Uint8Array.from([...begin, ...findThread, ...endCopy, ...findTable, ...search, ...replace, ...giveUp]);
}
