/** The objects, in the order in which iproute2 tries them: the first one that matches is taken. */
export const objectNames = [
  'mgmtdev',
  'dev',
  'host',
  'vduse',
  'monitor',
  'tree',
  'save',
  'restore',
  'apply',
  'sim',
  'self',
] as const;

export type ObjectName = (typeof objectNames)[number];
