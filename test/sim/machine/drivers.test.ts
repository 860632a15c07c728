import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Errno } from '../../../src/sys/errno.js';
import { SystemError } from '../../../src/sys/error.js';
import { SimulatedFiles } from '../../../src/sim/machine/files/simulated-files.js';
import { bareMachine, type MachineState } from '../../../src/sim/state/model.js';
import { VdpaBus } from '../../../src/sysfs/bus.js';
import { TestMachine } from '../../support/test-machine.js';

const BUS = '/sys/bus/vdpa';

/** A machine in memory, its files, and the errors of writes to them. */
function start(machine: Partial<MachineState> = {}, uid?: number) {
  const simulated = new TestMachine(machine);
  const files = new SimulatedFiles(simulated.store, uid);
  const write = (path: string, text: string): string => {
    try {
      files.write('write', path, text);
      return 'ok';
    } catch (error) {
      if (error instanceof SystemError) return error.code;
      throw error;
    }
  };
  const add = async (...names: string[]): Promise<void> => {
    for (const name of names) {
      const management = name.startsWith('blk') ? 'vdpasim_blk' : 'vdpasim_net';
      assert.equal((await simulated.vdpa(`dev add mgmtdev ${management} name ${name}`)).status, 0, name);
    }
  };
  return { simulated, files, write, add, bus: new VdpaBus(files) };
}

test('the first driver takes new devices, and numbers are given out again', async () => {
  const { simulated, add, bus, write } = start();
  await add('foo0', 'foo1', 'blk0', 'foo2');
  const summary = (): string[] =>
    bus.devices().map(({ name, virtio, netdev, block, vhost }) => [name, virtio, netdev ?? block ?? vhost].join(' '));
  assert.deepEqual(summary(), ['blk0 virtio2 vda', 'foo0 virtio0 eth0', 'foo1 virtio1 eth1', 'foo2 virtio3 eth2']);
  await simulated.vdpa('dev del foo0');
  assert.equal(write(`${BUS}/drivers/virtio_vdpa/unbind`, 'foo1'), 'ok');
  await add('blk1', 'foo3');
  assert.deepEqual(summary(), [
    'blk0 virtio2 vda',
    'blk1 virtio0 vdb',
    'foo1  ',
    'foo2 virtio3 eth2',
    'foo3 virtio1 eth0',
  ]);
  for (const name of ['foo1', 'blk0']) {
    if (name === 'blk0') assert.equal(write(`${BUS}/drivers/virtio_vdpa/unbind`, name), 'ok');
    assert.equal(write(`${BUS}/drivers/vhost_vdpa/bind`, name), 'ok');
  }
  assert.deepEqual([bus.device('foo1')?.vhost, bus.device('blk0')?.vhost], ['vhost-vdpa-0', 'vhost-vdpa-1']);
  assert.equal(write(`${BUS}/drivers/vhost_vdpa/unbind`, 'foo1'), 'ok');
  assert.equal(write(`${BUS}/drivers/vhost_vdpa/bind`, 'foo1\n'), 'ok');
  assert.equal(bus.device('foo1')?.vhost, 'vhost-vdpa-0');
});

test('the order of the drivers, and a machine without any', async () => {
  const vhost = start({ bus_driver: 'vhost_vdpa' });
  await vhost.add('foo0');
  assert.equal(vhost.bus.device('foo0')?.vhost, 'vhost-vdpa-0');
  const none = start({ bus_driver: 'none' });
  await none.add('foo0');
  assert.equal(none.bus.device('foo0')?.driver, undefined);
  assert.deepEqual(none.bus.drivers(), []);
});

test('writes to the files of the bus fail as in the kernel', async () => {
  const { add, write, files } = start();
  await add('foo0');
  const drivers = `${BUS}/drivers`;
  for (const [path, text, expected] of [
    [`${drivers}/vhost_vdpa/unbind`, 'foo0', 'ENODEV'],
    [`${drivers}/vhost_vdpa/bind`, 'foo0', 'EBUSY'],
    [`${drivers}/vhost_vdpa/bind`, 'nosuch', 'ENODEV'],
    [`${drivers}/nosuch/bind`, 'foo0', 'ENOENT'],
    [`${BUS}/devices/foo0/driver_override`, 'x'.repeat(4095), 'EINVAL'],
    [`${BUS}/devices/foo0/driver_override`, 'vhost_vdpa\n', 'ok'],
    [`${drivers}/virtio_vdpa/unbind`, 'foo0', 'ok'],
    [`${drivers}/virtio_vdpa/bind`, 'foo0', 'ENODEV'],
    [`${BUS}/drivers_probe`, 'nosuch', 'ENODEV'],
    [`${BUS}/drivers_probe`, 'foo0', 'ok'],
    [`${drivers}/vhost_vdpa/bind`, 'foo0', 'EBUSY'],
    [`${BUS}/devices/foo0/driver_override`, '\n', 'ok'],
    [`${BUS}/devices/foo0/uevent`, 'add', 'EACCES'],
    [BUS, 'x', 'EISDIR'],
    [`${BUS}/drivers_autoprobe`, '0', 'ok'],
  ] as const) {
    assert.equal(write(path, text), expected, `${path} ${text.slice(0, 20)}`);
  }
  assert.equal(files.text(`${BUS}/devices/foo0/driver_override`), '(null)');
  await add('foo1');
  assert.equal(files.link(`${BUS}/devices/foo1/driver`), undefined);
  assert.equal(files.text(`${BUS}/drivers_autoprobe`), '0');
});

test('only root writes', async () => {
  const { write, add } = start();
  await add('foo0');
  const { write: writeAsUser } = start({}, 1000);
  assert.equal(write(`${BUS}/drivers_autoprobe`, '1'), 'ok');
  assert.equal(writeAsUser(`${BUS}/drivers_autoprobe`, '1'), 'EACCES');
});

test('virtio devices of hardware are below the PCI function that does DMA', async () => {
  const card = { driver: 'hardware', classes: [1], max_vqs: 3, features: '0x300000020', vendor_id: 5555 } as const;
  const more = { config_attributes: ['mac'], min_vq_size: 1, max_vq_size: 256, max_devices: 1 } as const;
  const values = { mac: '00:11:22:33:44:55', mtu: 1500, capacity: 0 } as const;
  const { simulated, bus, files } = start({
    mgmtdev: [
      ...bareMachine.mgmtdev,
      {
        ...card,
        ...more,
        ...values,
        bus: 'pci',
        name: '0000:03:00.2',
        parent: { driver: 'mlx5_core', vendor: 0x15b3, numa_node: 1, physfn: '0000:03:00.0' },
      },
      {
        ...card,
        ...more,
        ...values,
        bus: 'auxiliary',
        name: 'mlx5_core.sf.1',
        parent: { driver: 'mlx5_core.sf', pci: '0000:03:00.0' },
      },
    ],
  });
  for (const [name, management] of [
    ['vf0', 'pci/0000:03:00.2'],
    ['sf0', 'auxiliary/mlx5_core.sf.1'],
  ] as const) {
    assert.equal((await simulated.vdpa(`dev add mgmtdev ${management} name ${name}`)).status, 0);
  }
  assert.equal(files.real(`${BUS}/devices/vf0`), '/sys/devices/pci0000:03/0000:03:00.2/vf0');
  assert.equal(files.real('/sys/bus/virtio/devices/virtio0'), '/sys/devices/pci0000:03/0000:03:00.2/virtio0');
  assert.equal(files.real(`${BUS}/devices/sf0`), '/sys/devices/pci0000:03/0000:03:00.0/mlx5_core.sf.1/sf0');
  assert.equal(files.real('/sys/bus/virtio/devices/virtio1'), '/sys/devices/pci0000:03/0000:03:00.0/virtio1');
  assert.equal(files.real('/sys/bus/pci/devices/0000:03:00.2/physfn'), '/sys/devices/pci0000:03/0000:03:00.0');
  assert.equal(files.linkName('/sys/bus/auxiliary/devices/mlx5_core.sf.1/driver'), 'mlx5_core.sf');
  const { netdev, parent, pci, numaNode } = bus.device('vf0') ?? assert.fail();
  assert.deepEqual(
    [netdev, parent, pci, numaNode],
    ['eth0', { subsystem: 'pci', name: '0000:03:00.2' }, '0000:03:00.2', 1],
  );
  assert.deepEqual(bus.device('sf0')?.parent, { subsystem: 'auxiliary', name: 'mlx5_core.sf.1' });
});

test('the files of nodes have the numbers of sysfs, and an owner', async () => {
  const { simulated, files, write } = start({ bus_driver: 'vhost_vdpa' });
  await simulated.vdpa('dev add mgmtdev vdpasim_net name foo0');
  const node = files.deviceNumber('/dev/vhost-vdpa-0') ?? assert.fail();
  assert.equal(files.text(`${BUS}/devices/foo0/vhost-vdpa-0/dev`), `${node.major}:${node.minor}`);
  files.setAccess('chown', '/dev/vhost-vdpa-0', node, { uid: 107, mode: 0o660 });
  assert.deepEqual(files.access('/dev/vhost-vdpa-0'), { uid: 107, gid: 0, mode: 0o660 });
  assert.throws(
    () => {
      files.setAccess('chown', '/dev/vhost-vdpa-0', { ...node, minor: 1 }, { uid: 0 });
    },
    (error) => error instanceof SystemError && error.errno === Errno.ENODEV,
  );
  // A new node belongs to root again.
  write(`${BUS}/drivers/vhost_vdpa/unbind`, 'foo0');
  write(`${BUS}/drivers/vhost_vdpa/bind`, 'foo0');
  assert.deepEqual(files.access('/dev/vhost-vdpa-0'), { uid: 0, gid: 0, mode: 0o600 });
});
