import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findModules } from '../../src/host/modules.js';
import { FakeMachine } from '../sysfs/fake-machine.js';

test('modules are loaded, built in, loadable or missing, and absent hardware is not mentioned', () => {
  const machine = new FakeMachine();
  try {
    machine
      .file('/proc/modules', 'vdpa 45056 1 vhost_vdpa, Live 0x0\nvhost_vdpa 32768 0 - Live 0x0\n')
      .file('/lib/modules/6.1/modules.builtin', 'kernel/drivers/net/virtio_net.ko\n')
      .file(
        '/lib/modules/6.1/modules.dep',
        'kernel/drivers/vdpa/vdpa_user/vduse.ko.xz: kernel/drivers/vdpa/vdpa.ko.xz\nkernel/drivers/vdpa/mlx5/mlx5_vdpa.ko:\n',
      )
      .folder('/sys/bus/virtio/drivers/virtio_blk')
      .folder('/sys/module/vdpa_sim_net');
    const states = new Map(findModules(machine.files, '6.1').map((report) => [report.name, report]));
    const state = (name: string): string | undefined => states.get(name)?.state;
    assert.equal(state('vdpa'), 'loaded');
    assert.equal(state('vhost_vdpa'), 'loaded');
    assert.equal(state('virtio_net'), 'built-in');
    assert.equal(state('virtio_blk'), 'built-in');
    assert.equal(state('vdpa_sim_net'), 'built-in');
    assert.equal(states.get('vduse')?.advice, 'modprobe vduse');
    assert.equal(states.get('mlx5_vdpa')?.advice, 'modprobe mlx5_vdpa');
    assert.match(states.get('virtio_vdpa')?.advice ?? '', /CONFIG_VIRTIO_VDPA/);
    assert.equal(states.get('virtio_vdpa')?.state, 'missing');
    assert.equal(state('pds_vdpa'), undefined);
  } finally {
    machine.remove();
  }
});
