/** The devices that sequences of steps add: those of the simulators, and of VDUSE. */
import { identityOfBlock, identityOfNet } from '../../../../src/sim/state/identity.js';
import type { VduseInstanceState } from '../../../../src/sim/state/model.js';
import { FIRST_MINOR, toInstance } from '../../../../src/sim/state/vduse-instance.js';
import type { AddableDevice } from './machine-sequence.js';

const names = ['d0', 'd1', 'd2', 'd3', 'd4'];

/** Each disk takes 128 MiB. */
export const simulatorDevices: readonly AddableDevice[] = [
  { names, words: 'mgmtdev vdpasim_net' },
  { names, words: 'mgmtdev vdpasim_blk', most: 3 },
];

/** What another program serves. The disk has no sectors, so that nothing reads from it. */
export const vduseInstances: readonly VduseInstanceState[] = [
  toInstance('v0', identityOfBlock({ name: 'v0', type: 'block', size: 0 }), FIRST_MINOR),
  toInstance('v1', identityOfNet({ name: 'v1', type: 'net', mac: '02:00:00:00:00:01' }), FIRST_MINOR + 1),
];

/** Those instances, and devices with a server of vdpa, which creates the instance and destroys it. */
export const vduseDevices: readonly AddableDevice[] = [
  { names: vduseInstances.map(({ name }) => name), words: 'mgmtdev vduse' },
  { names: ['s0', 's1'], words: 'mgmtdev vduse size 1M queues 2' },
  { names: ['s0', 's1'], words: 'mgmtdev vduse type net serve' },
];
