/**
 * Copies between guest memory and memory of this process. Guest memory may disappear during the copy: its file is
 * truncated, or it is revoked. In functions of the C library that would raise SIGBUS. These functions are machine code
 * whose faults the handler recognizes, see sigbus-handler.ts: they end and return an error, as a system call returns
 * EFAULT. Missing memory is therefore never read as other data.
 */
import { koffi } from './koffi.js';
import { libc } from './libc.js';

const u32 = (value: number): number[] => [...new Uint8Array(Uint32Array.of(value).buffer)];

/**
 * int copy(void *destination, const void *source, size_t length) of the System V ABI for AMD64: 0, or -1 after a fault.
 */
const copyCode = [
  ...[0x48, 0x89, 0xd1], //  mov rcx, rdx
  ...[0xf3, 0xa4], //        rep movsb
  ...[0x31, 0xc0], //        xor eax, eax
  0xc3, //                   ret
];

/** int fill(void *destination, int byte, size_t length). */
const fillCode = [
  ...[0x48, 0x89, 0xd1], //  mov rcx, rdx
  ...[0x89, 0xf0], //        mov eax, esi
  ...[0xf3, 0xaa], //        rep stosb
  ...[0x31, 0xc0], //        xor eax, eax
  0xc3, //                   ret
];

/** Both leave the stack unchanged, so that either can end here. */
const failCode = [
  ...[0xb8, ...u32(-1)], //  mov eax, -1
  0xc3, //                   ret
];

/** The two functions, followed by the code where they end after a fault. */
export const x64Copies = Uint8Array.from([...copyCode, ...fillCode, ...failCode]);
const FILL_OFFSET = copyCode.length;
export const FAIL_OFFSET = copyCode.length + fillCode.length;

type Copy = (destination: number, source: number, length: number) => number;
type Fill = (destination: number, byte: number, length: number) => number;

const memmove: (destination: number, source: number, length: number) => void = libc.func(
  'void memmove(uintptr_t destination, uintptr_t source, size_t length)',
);
const memset: (destination: number, byte: number, length: number) => void = libc.func(
  'void memset(uintptr_t destination, int byte, size_t length)',
);

let copy: Copy = (destination, source, length) => {
  memmove(destination, source, length);
  return 0;
};
let fill: Fill = (destination, byte, length) => {
  memset(destination, byte, length);
  return 0;
};

/**
 * Makes this thread copy with the functions at `code`, which contains {@link x64Copies} and is known to the handler.
 */
export function useGuardedCopies(code: number): void {
  // Koffi makes a function of the prototype, which has no type of its own.
  copy = koffi.decode(code, koffi.proto('int (uintptr_t destination, uintptr_t source, size_t length)')) as Copy;
  fill = koffi.decode(code + FILL_OFFSET, koffi.proto('int (uintptr_t destination, int byte, size_t length)')) as Fill;
}

/** Copies between addresses that do not overlap. @returns false if memory was missing: a part may have been copied */
export function copyMemory(destination: number, source: number, length: number): boolean {
  return copy(destination, source, length) === 0;
}

/** Fills memory with a byte. @returns false if memory was missing: a part may have been filled */
export function fillMemory(destination: number, byte: number, length: number): boolean {
  return fill(destination, byte, length) === 0;
}
