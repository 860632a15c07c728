/** Servers and their backends: the disks that are compared with each other. */
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

/** The disks that are also measured with several queues. */
export const queueDisks = ['vdpa file', 'qemu io_uring', 'vdpa null', 'qemu null-co'] as const satisfies DiskName[];
