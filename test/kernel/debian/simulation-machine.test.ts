/** Drivers as modules can be loaded in the other order: vhost_vdpa is then tried first. */
import '../../support/kernel/lab/inside.js';
import { test } from 'node:test';
import { bareMachine } from '../../../src/sim/state/model.js';
import { vduseDevices, vduseInstances } from '../../support/kernel/lab/machine-devices.js';
import { MachineTwins } from '../../support/kernel/lab/machine-twins.js';
import { sh } from '../../support/kernel/servers/vduse.js';

test('6 sequences of commands and writes, where vhost_vdpa is tried first', async (context) => {
  for (const module of ['vduse', 'vhost_vdpa', 'virtio_vdpa', 'virtio_blk', 'virtio_net'])
    await sh(`modprobe ${module}`);
  const machine = {
    ...bareMachine,
    bus_driver: 'vhost_vdpa',
    mgmtdev: bareMachine.mgmtdev.filter(({ driver }) => driver === 'vduse'),
    vduse: vduseInstances,
  } as const;
  const twins = await MachineTwins.start({ machine, addable: vduseDevices });
  await twins.runAll(0, 6, (text) => {
    context.diagnostic(text);
  });
});
