/** The commands of vdpa, as a tree. */
import type { Branch, Leaf } from './cli/branch.js';
import { objectNames, type ObjectName } from './cli/objects.js';

const mgmtdev: Branch = {
  words: ['mgmtdev'],
  summary: 'management devices',
  abbreviable: true,
  bare: 'help',
  shortHelp: true,
  children: [{ words: ['show', 'list'], abbreviable: true, load: () => import('./commands/mgmtdev/show.js') }],
};

const dev: Branch = {
  words: ['dev'],
  summary: 'vDPA devices',
  abbreviable: true,
  bare: 'show',
  shortHelp: true,
  children: [
    { words: ['show', 'list'], abbreviable: true, load: () => import('./commands/dev/show.js') },
    { words: ['add'], abbreviable: true, load: () => import('./commands/dev/add.js') },
    { words: ['del'], abbreviable: true, load: () => import('./commands/dev/del.js') },
    { words: ['set'], abbreviable: false, load: () => import('./commands/dev/set.js') },
    { words: ['bind'], abbreviable: false, load: () => import('./commands/dev/bind.js') },
    { words: ['unbind'], abbreviable: false, load: () => import('./commands/dev/unbind.js') },
    {
      words: ['config'],
      summary: 'configuration of vDPA devices',
      abbreviable: true,
      bare: 'show',
      shortHelp: true,
      children: [{ words: ['show'], abbreviable: true, load: () => import('./commands/dev/config/show.js') }],
    },
    {
      words: ['vstats'],
      summary: 'vendor statistics of a virtqueue',
      abbreviable: false,
      bare: 'refuse',
      shortHelp: false,
      children: [{ words: ['show'], abbreviable: false, load: () => import('./commands/dev/vstats/show.js') }],
    },
    {
      words: ['features'],
      summary: 'features of vDPA devices',
      abbreviable: false,
      bare: 'show',
      shortHelp: false,
      children: [{ words: ['show'], abbreviable: false, load: () => import('./commands/dev/features/show.js') }],
    },
    {
      words: ['stats'],
      summary: 'vendor statistics of all virtqueues',
      abbreviable: false,
      bare: 'show',
      shortHelp: false,
      children: [{ words: ['show'], abbreviable: false, load: () => import('./commands/dev/stats/show.js') }],
    },
  ],
};

const host: Branch = {
  words: ['host'],
  summary: 'whether this machine is ready for vDPA',
  abbreviable: false,
  bare: 'show',
  shortHelp: false,
  children: [{ words: ['show'], abbreviable: false, load: () => import('./commands/host/show.js') }],
};

const vduse: Branch = {
  words: ['vduse'],
  summary: 'VDUSE devices and their servers',
  abbreviable: false,
  bare: 'show',
  shortHelp: false,
  children: [
    { words: ['show', 'list'], abbreviable: true, load: () => import('./commands/vduse/show.js') },
    { words: ['serve'], abbreviable: false, load: () => import('./commands/vduse/serve.js') },
    { words: ['del'], abbreviable: false, load: () => import('./commands/vduse/del.js') },
  ],
};

const sim: Branch = {
  words: ['sim'],
  summary: 'the simulated machine',
  abbreviable: false,
  bare: 'show',
  shortHelp: false,
  children: [
    { words: ['show'], abbreviable: false, load: () => import('./commands/sim/show.js') },
    { words: ['init'], abbreviable: false, load: () => import('./commands/sim/init.js') },
    { words: ['reset'], abbreviable: false, load: () => import('./commands/sim/reset.js') },
  ],
};

const objects: Readonly<Record<ObjectName, Leaf | Branch>> = {
  mgmtdev,
  dev,
  host,
  vduse,
  monitor: { words: ['monitor'], abbreviable: false, load: () => import('./commands/monitor.js') },
  tree: { words: ['tree'], abbreviable: false, load: () => import('./commands/tree.js') },
  save: { words: ['save'], abbreviable: false, load: () => import('./commands/save.js') },
  restore: { words: ['restore'], abbreviable: false, load: () => import('./commands/restore.js') },
  apply: { words: ['apply'], abbreviable: false, load: () => import('./commands/apply.js') },
  sim,
};

/** All commands. */
export const tree: Branch = {
  words: ['vdpa'],
  isRoot: true,
  summary: 'manage vDPA devices',
  abbreviable: false,
  bare: 'help',
  shortHelp: true,
  children: objectNames.map((name) => objects[name]),
};
