/** ioctl(2) request numbers, as in include/uapi/asm-generic/ioctl.h. They do not need the C library. */
const WRITE = 1;
const READ = 2;

/** 2 bits direction, 14 bits size of the argument, 8 bits type, 8 bits number. */
function request(direction: number, type: number, number: number, size: number): number {
  return ((direction << 30) | (size << 16) | (type << 8) | number) >>> 0;
}

/** _IO: without an argument. */
export const io = (type: number, number: number): number => request(0, type, number, 0);
/** _IOR: the kernel fills an argument of `size` bytes. */
export const ior = (type: number, number: number, size: number): number => request(READ, type, number, size);
/** _IOW: the kernel reads an argument of `size` bytes. */
export const iow = (type: number, number: number, size: number): number => request(WRITE, type, number, size);
/** _IOWR: the kernel reads an argument of `size` bytes and fills it. */
export const iowr = (type: number, number: number, size: number): number => request(READ | WRITE, type, number, size);
