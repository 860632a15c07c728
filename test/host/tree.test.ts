import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readTree } from '../../src/host/tree.js';
import { VdpaBus } from '../../src/sysfs/bus.js';
import { FakeMachine } from '../sysfs/fake-machine.js';
import { TestMachine } from '../support/test-machine.js';

test('a tree has what sysfs says about each device', async () => {
  const fake = new FakeMachine();
  try {
    fake.folder('/proc').vdpaDevice('foo0', { driver: 'vhost_vdpa' });
    fake.file('/sys/devices/foo0/vhost-vdpa-0/dev', '999:0\n');
    const simulated = new TestMachine();
    const client = await simulated.client();
    for (const name of ['foo0', 'foo1']) await client.addDevice({ name, managementDevice: 'vdpasim_net' });
    const roots = await readTree(client, new VdpaBus(fake.files));
    const net = roots.find(({ name }) => name === 'vdpasim_net') ?? assert.fail('the management device is missing');
    assert.deepEqual(
      net.children.map(({ kind, name }) => [kind, name]),
      [
        ['dev', 'foo0'],
        ['dev', 'foo1'],
      ],
    );
    const [first, second] = net.children;
    assert.deepEqual(
      first?.children.map(({ kind, name, children }) => [kind, name, children.map((child) => child.name)]),
      [['driver', 'vhost_vdpa', ['/dev/vhost-vdpa-0']]],
    );
    assert.deepEqual(second?.children, []);
  } finally {
    fake.remove();
  }
});
