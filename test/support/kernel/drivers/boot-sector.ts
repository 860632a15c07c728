/**
 * A program for a virtual machine, in the first sector of its disk. With BIOS calls it reads 1024 sectors from sector 1 on, 64 at
 * a time, and writes them with every bit inverted from sector 2049 on. Then QEMU's `isa-debug-exit` at port 0xf4 ends the
 * machine.
 */

export const SECTOR = 512;
export const READ_FROM = 1 * SECTOR;
export const WRITTEN_TO = 2049 * SECTOR;
export const COPIED_BYTES = 16 * 64 * SECTOR;

/** QEMU's exit status after all reads and writes: `isa-debug-exit` doubles the value written to it and adds one. */
export const COPIED = 0x10 * 2 + 1;

/** The QEMU device that makes {@link COPIED} the exit status. */
export const EXIT_DEVICE = 'isa-debug-exit,iobase=0xf4,iosize=1';

/* prettier-ignore */
const CODE = [
  // start, at 0x7c00; the firmware has put the drive number into dl
  0xfa, //                                                  cli
  0x31, 0xc0, //                                            xor ax, ax
  0x8e, 0xd8, //                                            mov ds, ax
  0x8e, 0xd0, //                                            mov ss, ax
  0xbc, 0x00, 0x7c, //                                      mov sp, 0x7c00
  0xfb, //                                                  sti
  0x88, 0x16, 0x5a, 0x7c, //                                mov [drive], dl
  0xb8, 0x00, 0x10, //                                      mov ax, 0x1000
  0x8e, 0xc0, //                                            mov es, ax
  // again, at 0x7c14
  0xb4, 0x42, //                                            mov ah, 0x42       ; read
  0xe8, 0x33, 0x00, //                                      call io
  0x31, 0xff, //                                            xor di, di
  0xb9, 0x00, 0x20, //                                      mov cx, 64 * 512 / 4
  0x26, 0x66, 0xf7, 0x15, //                                not dword es:[di]
  0x83, 0xc7, 0x04, //                                      add di, 4
  0xe2, 0xf7, //                                            loop               ; to the not
  0x66, 0x81, 0x06, 0x65, 0x7c, 0x00, 0x08, 0x00, 0x00, //  add dword [sector], 2048
  0xb8, 0x00, 0x43, //                                      mov ax, 0x4300     ; write
  0xe8, 0x16, 0x00, //                                      call io
  0x66, 0x81, 0x2e, 0x65, 0x7c, 0xc0, 0x07, 0x00, 0x00, //  sub dword [sector], 2048 - 64
  0xff, 0x0e, 0x5b, 0x7c, //                                dec word [rounds]
  0x75, 0xcf, //                                            jnz again
  0xb0, 0x10, //                                            mov al, 0x10
  // end, at 0x7c47
  0xe6, 0xf4, //                                            out 0xf4, al
  0xf4, //                                                  hlt
  0xeb, 0xfb, //                                            jmp end
  // io, at 0x7c4c
  0x8a, 0x16, 0x5a, 0x7c, //                                mov dl, [drive]
  0xbe, 0x5d, 0x7c, //                                      mov si, packet
  0xcd, 0x13, //                                            int 0x13
  0xb0, 0x20, //                                            mov al, 0x20       ; the end if it fails
  0x72, 0xee, //                                            jc end
  0xc3, //                                                  ret
  0x00, //                                                  drive, at 0x7c5a
  0x10, 0x00, //                                            rounds: 16
  // packet, at 0x7c5d: its own size, sectors, address in memory (0x1000:0), and the sector at 0x7c65
  0x10, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x10, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
];

/** The sector, with the signature that makes it bootable. */
export function bootSector(): Buffer {
  const sector = Buffer.alloc(SECTOR);
  sector.set(CODE);
  sector.writeUInt16LE(0xaa55, SECTOR - 2);
  return sector;
}
