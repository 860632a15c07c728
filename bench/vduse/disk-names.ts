/** Who serves, and how: the disks that are held against each other. */
export const diskNames = [
  'vdpa file',
  'qemu threads',
  'qemu io_uring',
  'vdpa ram',
  'vdpa null',
  'qemu null-co',
  'vdpasim',
] as const;
export type DiskName = (typeof diskNames)[number];

/** Those that are measured with several queues, too. */
export const queueDisks = ['vdpa file', 'qemu io_uring', 'vdpa null', 'qemu null-co'] as const satisfies DiskName[];
