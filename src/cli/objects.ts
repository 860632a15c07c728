/** What a line can begin with. The order is that in which iproute2 tries the words: the first that matches is taken. */
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
] as const;

export type ObjectName = (typeof objectNames)[number];
