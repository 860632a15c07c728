import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { check } from '../../../src/generated/sim-state.js';
import { SimulationError } from '../../../src/sim/error.js';
import { parseMachine } from '../../../src/sim/state/description.js';
import { bootState, bareMachine } from '../../../src/sim/state/model.js';
import type { MachineState } from '../../../src/sim/state/model.js';
import { TestMachine } from '../../support/test-machine.js';

const mlx5 = {
  supported_classes: ['net'],
  max_supported_vqs: 65,
  dev_features: [
    ...['CSUM', 'GUEST_CSUM', 'MTU', 'MAC', 'HOST_TSO4', 'HOST_TSO6', 'STATUS', 'CTRL_VQ', 'CTRL_VLAN', 'MQ'],
    ...['CTRL_MAC_ADDR', 'VERSION_1', 'ACCESS_PLATFORM'],
  ],
};

function read(description: unknown): MachineState {
  const machine = parseMachine(JSON.stringify(description), 'test.json');
  assert.equal(check(bootState(machine)), undefined, 'a state that obeys its schema');
  return machine;
}

describe('the description of a machine', () => {
  test('is the output of vdpa itself', () => {
    // vdpa -j mgmtdev show, on a kernel with the simulators and VDUSE.
    const shown = `{"mgmtdev":{
      "vdpasim_net":{"supported_classes":["net"],"max_supported_vqs":3,
        "dev_features":["MTU","MAC","STATUS","CTRL_VQ","CTRL_MAC_ADDR","ANY_LAYOUT","VERSION_1","ACCESS_PLATFORM"]},
      "vdpasim_blk":{"supported_classes":["block"],"max_supported_vqs":0,"dev_features":[]},
      "vduse":{"supported_classes":["net","block"],"max_supported_vqs":0,"dev_features":[]}}}`;
    const { mgmtdev, ...rest } = parseMachine(shown, 'shown');
    assert.deepEqual(rest, { uid: 0, bus_driver: 'virtio_vdpa', vduse: [], faults: [] });
    const usual = bareMachine.mgmtdev.map((device) => ({ ...device, classes: [...device.classes].sort() }));
    assert.deepEqual(mgmtdev, usual);
  });

  test('software devices need only their names', () => {
    const machine = read({ mgmtdev: { vduse: {}, vdpasim_net: {}, my_sim: { driver: 'vdpasim_net' } } });
    assert.deepEqual(
      machine.mgmtdev.map(({ name, driver }) => [name, driver]),
      [
        ['vduse', 'vduse'],
        ['vdpasim_net', 'vdpasim_net'],
        ['my_sim', 'vdpasim_net'],
      ],
    );
    assert.equal(machine.mgmtdev[2]?.features, '0x308830028');
  });

  test('hardware on a bus, with every property', async () => {
    const machine = new TestMachine(
      read({
        mgmtdev: {
          'pci/0000:03:00.2': { ...mlx5, vendor_id: 5555, mac: '00:11:22:33:44:55', vstats: { received_desc: 7 } },
          'auxiliary/mlx5_core.sf.1': mlx5,
        },
        bus_driver: 'vhost_vdpa',
      }),
    );
    const client = await machine.client();
    const [first, second] = await client.managementDevices();
    assert.equal(first?.handle, 'pci/0000:03:00.2');
    assert.match(second?.handle ?? '', /^auxiliary\//);
    assert.equal(first.maxVirtqueues, 65);
    const managementDevice = 'pci/0000:03:00.2';
    await client.addDevice({ name: 'foo0', managementDevice, maxVirtqueuePairs: 4, mtu: 9000 });
    const { vendorId, maxVirtqueues, maxVirtqueueSize } = await client.device('foo0');
    assert.deepEqual([vendorId, maxVirtqueues, maxVirtqueueSize], [5555, 9, 256]);
    const config = await client.deviceConfig('foo0');
    assert.equal(config.kind, 'net');
    assert.equal(config.negotiatedFeatures, undefined, 'vhost_vdpa negotiates nothing by itself');
    assert.deepEqual([config.mac, config.maxVirtqueuePairs, config.mtu], ['00:11:22:33:44:55', 4, 9000]);
    await client.setDevice('foo0', { mac: '02:00:00:00:00:01' });
  });

  describe('hardware with virtio_vdpa', () => {
    const machine = new TestMachine(
      read({ mgmtdev: { 'pci/a': { ...mlx5, vstats: { received_desc: 7, completed_desc: 6 } } } }),
    );
    const managementDevice = 'pci/a';

    test('rejects what the hardware rejects', async () => {
      const client = await machine.client();
      const add = (more: object): Promise<void> => client.addDevice({ name: 'foo0', managementDevice, ...more });
      await assert.rejects(add({ features: 1n << 40n }), { code: 'EINVAL' });
      await assert.rejects(add({ features: 1n << 33n }), { code: 'EOPNOTSUPP' });
      await assert.rejects(add({ features: 0x3_0000_0020n }), { code: 'EINVAL' }, 'a MAC feature and no address');
      await assert.rejects(add({ maxVirtqueuePairs: 33 }), { code: 'EINVAL' });
      await add({});
      await assert.rejects(client.addDevice({ name: 'foo1', managementDevice }), { code: 'ENOSPC' });
      await assert.rejects(client.setDevice('foo0', { mac: '02:00:00:00:00:01' }), { code: 'EBUSY' });
    });

    test('negotiates, and counts as its vendor does', async () => {
      const client = await machine.client();
      const { deviceFeatures = 0n, negotiatedFeatures = 0n } = await client.deviceConfig('foo0');
      // Without an address it does not offer MAC.
      assert.equal(deviceFeatures & (1n << 5n), 0n);
      assert.equal(negotiatedFeatures, deviceFeatures);
      const { counters } = await client.vendorStats('foo0', 2);
      assert.deepEqual(counters, [
        { name: 'received_desc', value: 7n },
        { name: 'completed_desc', value: 6n },
      ]);
      await assert.rejects(client.vendorStats('foo0', 3), { code: 'EINVAL', kernelMessage: /mlx5_vdpa/ });
    });
  });

  test('a block device of hardware', async () => {
    const client = await new TestMachine(
      read({
        mgmtdev: {
          'pci/blk': {
            supported_classes: ['block'],
            max_supported_vqs: 4,
            dev_features: ['MQ', 'BLK_SIZE', 'VERSION_1', 33],
            capacity: 2048,
          },
        },
      }),
    ).client();
    await client.addDevice({ name: 'foo0', managementDevice: 'pci/blk' });
    const config = await client.deviceConfig('foo0');
    assert.deepEqual(config.kind === 'block' && [config.capacity, config.queues], [2048n, 4]);
    await assert.rejects(client.vendorStats('foo0', 0), { code: 'EOPNOTSUPP' });
  });

  test('a class whose configuration the kernel does not report', async () => {
    const client = await new TestMachine(read({ mgmtdev: { 'pci/x': { supported_classes: [3] } } })).client();
    await client.addDevice({ name: 'foo0', managementDevice: 'pci/x' });
    await assert.rejects(client.deviceConfig('foo0'), { code: 'EOPNOTSUPP' });
    assert.deepEqual(await client.deviceConfigs(), []);
    assert.equal((await client.devices()).length, 1);
  });

  test('VDUSE devices that exist from the start', async () => {
    const description = {
      mgmtdev: { vduse: {} },
      vduse: {
        vd0: { type: 'block', capacity: 4096, queues: 2, readonly: true },
        vd1: { type: 'net', mac: '02:00:00:00:00:AA', mtu: 1400 },
      },
    };
    const client = await new TestMachine(read(description)).client();
    const managementDevice = 'vduse';
    for (const name of ['vd0', 'vd1']) await client.addDevice({ name, managementDevice });
    await assert.rejects(client.addDevice({ name: 'vd2', managementDevice }), { code: 'EINVAL' });
    const [block, net] = await client.deviceConfigs();
    assert.deepEqual(block?.kind === 'block' && [block.capacity, block.queues, block.readOnly], [4096n, 2, true]);
    assert.deepEqual(net?.kind === 'net' && [net.mtu, net.mac], [1400, '02:00:00:00:00:aa']);
    await client.deleteDevice('vd0');
    await client.addDevice({ name: 'vd0', managementDevice });
  });

  test('an ordinary user', async () => {
    const client = await new TestMachine(read({ mgmtdev: { vdpasim_net: {} }, uid: 1000 })).client();
    const add = client.addDevice({ name: 'foo0', managementDevice: 'vdpasim_net' });
    await assert.rejects(add, {
      code: 'EPERM',
      message: /^add vdpa device foo0: Operation not permitted \(EPERM\)\. Run as root: /,
    });
    assert.deepEqual(await client.devices(), []);
  });

  const wrong: Record<string, [unknown, RegExp]> = {
    'no management devices': [{}, /must have required property 'mgmtdev'/],
    'an unknown key': [{ mgmtdev: { a: { colour: 1 } } }, /\/mgmtdev\/a .*colour/],
    'an unknown class': [{ mgmtdev: { a: { supported_classes: ['gpu'] } } }, /\/mgmtdev\/a\/supported_classes\/0/],
    'an unknown feature': [{ mgmtdev: { a: { dev_features: ['WARP'] } } }, /a has the unknown feature WARP/],
    'a handle with two slashes': [{ mgmtdev: { 'a/b/c': {} } }, /property name must be valid|pattern/],
    'an invalid MAC address': [{ mgmtdev: { a: { mac: '00:11' } } }, /\/mgmtdev\/a\/mac/],
    'what only hardware has': [
      { mgmtdev: { vduse: { vendor_id: 1 } } },
      /\/mgmtdev\/vduse\/vendor_id is only supported by driver hardware/,
    ],
    'an unknown error': [{ mgmtdev: {}, faults: [{ command: 'dev add', errno: 'EFOO' }] }, /unknown error EFOO/],
    'an unknown command': [{ mgmtdev: {}, faults: [{ command: 'dev eat' }] }, /dev vstats show/],
  };
  for (const [what, [description, why]] of Object.entries(wrong)) {
    test(`${what}: rejected, with the location and the file's name`, () => {
      assert.throws(
        () => parseMachine(JSON.stringify(description), 'my.json'),
        (error) => {
          assert.ok(error instanceof SimulationError);
          assert.match(error.message, /^my\.json is not a valid machine description: /);
          assert.match(error.message, why);
          return true;
        },
      );
    });
  }

  test('invalid JSON', () => {
    assert.throws(() => parseMachine('{', 'my.json'), /my\.json is not a valid machine description: invalid JSON/);
  });
});
