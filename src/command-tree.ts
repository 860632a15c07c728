/** The commands of vdpa, as a tree. */
import type { Branch, Leaf } from './cli/branch.js';
import { objectNames, type ObjectName } from './cli/objects.js';

const mgmtdev: Branch = {
  names: ['mgmtdev'],
  summary: 'management devices',
  abbreviable: true,
  bare: 'help',
  shortHelp: true,
  children: [{ names: ['show', 'list'], abbreviable: true, load: () => import('./commands/mgmtdev/show.js') }],
};

const dev: Branch = {
  names: ['dev'],
  summary: 'vDPA devices',
  abbreviable: true,
  bare: 'show',
  shortHelp: true,
  children: [
    { names: ['show', 'list'], abbreviable: true, load: () => import('./commands/dev/show.js') },
    { names: ['add'], abbreviable: true, load: () => import('./commands/dev/add.js') },
    { names: ['del'], abbreviable: true, load: () => import('./commands/dev/del.js') },
    { names: ['set'], abbreviable: false, load: () => import('./commands/dev/set.js') },
    { names: ['bind'], abbreviable: false, load: () => import('./commands/dev/bind.js') },
    { names: ['unbind'], abbreviable: false, load: () => import('./commands/dev/unbind.js') },
    { names: ['bench'], abbreviable: false, load: () => import('./commands/dev/bench.js') },
    { names: ['test'], abbreviable: false, load: () => import('./commands/dev/test.js') },
    {
      names: ['config'],
      summary: 'configuration of vDPA devices',
      abbreviable: true,
      bare: 'show',
      shortHelp: true,
      children: [{ names: ['show'], abbreviable: true, load: () => import('./commands/dev/config/show.js') }],
    },
    {
      names: ['vstats'],
      summary: 'vendor statistics of a virtqueue',
      abbreviable: false,
      bare: 'refuse',
      shortHelp: false,
      children: [{ names: ['show'], abbreviable: false, load: () => import('./commands/dev/vstats/show.js') }],
    },
    {
      names: ['features'],
      summary: 'features of vDPA devices',
      abbreviable: false,
      bare: 'show',
      shortHelp: false,
      children: [{ names: ['show'], abbreviable: false, load: () => import('./commands/dev/features/show.js') }],
    },
    {
      names: ['stats'],
      summary: 'vendor statistics of all virtqueues',
      abbreviable: false,
      bare: 'show',
      shortHelp: false,
      children: [{ names: ['show'], abbreviable: false, load: () => import('./commands/dev/stats/show.js') }],
    },
  ],
};

const host: Branch = {
  names: ['host'],
  summary: 'whether this machine is ready for vDPA',
  abbreviable: false,
  bare: 'show',
  shortHelp: false,
  children: [{ names: ['show'], abbreviable: false, load: () => import('./commands/host/show.js') }],
};

const vduse: Branch = {
  names: ['vduse'],
  summary: 'VDUSE devices and their servers',
  abbreviable: false,
  bare: 'show',
  shortHelp: false,
  children: [
    { names: ['show', 'list'], abbreviable: true, load: () => import('./commands/vduse/show.js') },
    { names: ['serve'], abbreviable: false, load: () => import('./commands/vduse/serve.js') },
    { names: ['del'], abbreviable: false, load: () => import('./commands/vduse/del.js') },
  ],
};

const sim: Branch = {
  names: ['sim'],
  summary: 'the simulated machine',
  abbreviable: false,
  bare: 'show',
  shortHelp: false,
  children: [
    { names: ['show'], abbreviable: false, load: () => import('./commands/sim/show.js') },
    { names: ['init'], abbreviable: false, load: () => import('./commands/sim/init.js') },
    { names: ['reset'], abbreviable: false, load: () => import('./commands/sim/reset.js') },
    { names: ['run'], abbreviable: false, load: () => import('./commands/sim/run.js') },
    { names: ['hold'], abbreviable: false, load: () => import('./commands/sim/hold.js') },
    { names: ['export'], abbreviable: false, load: () => import('./commands/sim/export.js') },
  ],
};

const self: Branch = {
  names: ['self'],
  summary: 'this program',
  abbreviable: false,
  bare: 'help',
  shortHelp: false,
  children: [{ names: ['export'], abbreviable: false, load: () => import('./commands/self/export.js') }],
};

const objects: Readonly<Record<ObjectName, Leaf | Branch>> = {
  mgmtdev,
  dev,
  host,
  vduse,
  monitor: { names: ['monitor'], abbreviable: false, load: () => import('./commands/monitor.js') },
  tree: { names: ['tree'], abbreviable: false, load: () => import('./commands/tree.js') },
  save: { names: ['save'], abbreviable: false, load: () => import('./commands/save.js') },
  restore: { names: ['restore'], abbreviable: false, load: () => import('./commands/restore.js') },
  apply: { names: ['apply'], abbreviable: false, load: () => import('./commands/apply.js') },
  sim,
  self,
};

/** All commands. */
export const tree: Branch = {
  names: ['vdpa'],
  isRoot: true,
  summary: 'manage vDPA devices',
  abbreviable: false,
  bare: 'help',
  shortHelp: true,
  children: objectNames.map((name) => objects[name]),
};
