import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { VdpaEvent } from '../../src/host/events.js';
import { VdpaMonitor, type MonitorOptions } from '../../src/host/monitor.js';
import { NetlinkError } from '../../src/netlink/error.js';
import type { NetlinkTransport } from '../../src/netlink/transport.js';
import { formatTime } from '../../src/render/event.js';
import { Errno } from '../../src/sys/errno.js';
import { VdpaBus } from '../../src/sysfs/bus.js';
import { parseUevent } from '../../src/uevent/uevent.js';
import type { ManagementDevice } from '../../src/vdpa/model.js';
import { FakeMachine } from '../sysfs/fake-machine.js';

/** One datagram, an error that the socket throws, or something that happens on the machine meanwhile. */
type Step = string | Errno | (() => void);
type Errno = (typeof Errno)[keyof typeof Errno];

let machine: FakeMachine;
let managementDevices: ManagementDevice[];
/** Virtio device ids by name, where they are not 1. */
let classes: Map<string, number>;
let closed: number;

beforeEach(() => {
  machine = new FakeMachine();
  managementDevices = [];
  classes = new Map();
  closed = 0;
});

afterEach(() => {
  machine.remove();
});

/** A monitor that sees these steps. */
async function open(steps: Step[], object?: 'dev' | 'mgmtdev'): Promise<VdpaMonitor> {
  let isOver = false;
  const transport: NetlinkTransport = {
    port: 1,
    send: () => undefined,
    receive: () => {
      for (let step = steps.shift(); step !== undefined; step = steps.shift()) {
        if (typeof step === 'string') return new TextEncoder().encode(`${step} `.replaceAll(' ', '\0'));
        if (typeof step === 'number') throw new NetlinkError({ operation: 'receive', errno: step });
        step();
      }
      if (!isOver) {
        isOver = true;
        throw new NetlinkError({ operation: 'receive', errno: Errno.ETIMEDOUT });
      }
      void monitor.close();
      throw new NetlinkError({ operation: 'receive', errno: Errno.EBADF });
    },
    close: () => {
      closed++;
    },
  };
  const client: MonitorOptions['client'] = {
    device: (name) =>
      name.startsWith('gone')
        ? Promise.reject(new NetlinkError({ operation: 'show', errno: Errno.ENODEV }))
        : Promise.resolve({ name, managementDevice: 'm', deviceId: classes.get(name) ?? 1 }),
    managementDevices: () => Promise.resolve(managementDevices),
  };
  const monitor = await VdpaMonitor.open({
    client,
    transport,
    bus: new VdpaBus(machine.files),
    ...(object && { object }),
  });
  return monitor;
}

/** All events that these steps cause, without their time. */
async function watch(steps: Step[], object?: 'dev' | 'mgmtdev'): Promise<Partial<VdpaEvent>[]> {
  const events: Partial<VdpaEvent>[] = [];
  for await (const { time, ...event } of await open(steps, object)) {
    assert.ok(time > 1.6e15);
    events.push(event);
  }
  return events;
}

const vdpa = (action: string, name: string, more = ''): string =>
  `${action}@/devices/${name} ACTION=${action} DEVPATH=/devices/${name} SUBSYSTEM=vdpa SEQNUM=1${more} `;

test('the life of a device', async () => {
  const netdev = 'DEVPATH=/devices/a/virtio0/net/eth1 SUBSYSTEM=net INTERFACE=eth1';
  const events = await watch(
    [
      vdpa('add', 'a'),
      `add@x ACTION=add ${netdev} `,
      vdpa('bind', 'a', ' DRIVER=virtio_vdpa'),
      `move@x ACTION=move ${netdev} DEVPATH_OLD=/devices/a/virtio0/net/eth0 `,
      vdpa('unbind', 'a'),
      vdpa('remove', 'a'),
      vdpa('add', 'gone'),
    ],
    'dev',
  );
  const dev = { object: 'dev', name: 'a' } as const;
  assert.deepEqual(events, [
    { ...dev, event: 'added', device: { name: 'a', managementDevice: 'm', deviceId: 1 } },
    { ...dev, event: 'changed', part: 'netdev', partName: 'eth1', change: 'added' },
    { ...dev, event: 'bound', driver: 'virtio_vdpa' },
    { ...dev, event: 'changed', part: 'netdev', partName: 'eth1', change: 'renamed', oldName: 'eth0' },
    { ...dev, event: 'unbound' },
    { ...dev, event: 'removed' },
    { object: 'dev', name: 'gone', event: 'added' },
  ]);
});

test('interfaces and disks of other devices are ignored, those of existing devices are not', async () => {
  machine.vdpaDevice('old', { above: 'pci0000:00/' });
  const events = await watch([
    'add@x ACTION=add DEVPATH=/devices/pci0/virtio3/net/eth0 SUBSYSTEM=net INTERFACE=eth0 ',
    'change@x ACTION=change DEVPATH=/devices/pci0000:00/old/virtio1/block/vda SUBSYSTEM=block DEVNAME=vda RESIZE=1 ',
    'add@x ACTION=add DEVPATH=/devices/virtual/bdi/1 SUBSYSTEM=bdi ',
  ]);
  assert.deepEqual(events, [
    { object: 'dev', name: 'old', event: 'changed', part: 'block', partName: 'vda', change: 'resized' },
  ]);
});

test('after lost events the differences are reported, each once', async () => {
  machine.vdpaDevice('a').vdpaDevice('b');
  const events = await watch(
    [
      () => {
        machine.vdpaDevice('c');
      },
      Errno.ENOBUFS,
      vdpa('add', 'c'),
      () => {
        rmSync(join(machine.root, '/sys/bus/vdpa/devices/a'));
      },
      vdpa('remove', 'a'),
      vdpa('remove', 'a'),
    ],
    'dev',
  );
  assert.deepEqual(
    events.map(({ object, event, ...rest }) => [object, event, 'name' in rest ? rest.name : '']),
    [
      ['monitor', 'lost', ''],
      ['dev', 'added', 'c'],
      ['dev', 'removed', 'a'],
    ],
  );
});

test('after lost events another driver, class, node, interface and disk are reported, and old events are not', async () => {
  const devices = (name: string): string => `/sys/devices/${name}`;
  const bind = (name: string, driver: string): void => {
    rmSync(join(machine.root, devices(name), 'driver'), { force: true });
    machine.driver(driver).link(`${devices(name)}/driver`, `/sys/bus/vdpa/drivers/${driver}`);
  };
  for (const name of ['moved', 'node', 'class', 'renamed', 'same']) machine.vdpaDevice(name);
  bind('moved', 'virtio_vdpa');
  machine.folder('/sys/devices/moved/virtio0/net/eth0');
  for (const name of ['node', 'same']) bind(name, 'vhost_vdpa');
  machine.folder('/sys/devices/node/vhost-vdpa-0').folder('/sys/devices/same/vhost-vdpa-7');
  bind('renamed', 'virtio_vdpa');
  machine.folder('/sys/devices/renamed/virtio1/net/eth1');
  const events = await watch(
    [
      () => {
        rmSync(join(machine.root, '/sys/devices/moved/virtio0'), { recursive: true });
        bind('moved', 'vhost_vdpa');
        machine.folder('/sys/devices/moved/vhost-vdpa-1');
        rmSync(join(machine.root, '/sys/devices/node/vhost-vdpa-0'), { recursive: true });
        machine.folder('/sys/devices/node/vhost-vdpa-3');
        classes.set('class', 2);
        bind('class', 'virtio_vdpa');
        machine.folder('/sys/devices/class/virtio2/block/vda');
        rmSync(join(machine.root, '/sys/devices/renamed/virtio1/net'), { recursive: true });
        machine.folder('/sys/devices/renamed/virtio1/net/lan0');
        machine.file('/sys/kernel/uevent_seqnum', '100\n');
      },
      Errno.ENOBUFS,
      // The socket is empty.
      Errno.ETIMEDOUT,
      // These were sent before the devices were listed.
      'unbind@/devices/moved ACTION=unbind DEVPATH=/devices/moved SUBSYSTEM=vdpa SEQNUM=98 ',
      'bind@/devices/moved ACTION=bind DEVPATH=/devices/moved SUBSYSTEM=vdpa DRIVER=vhost_vdpa SEQNUM=100 ',
      'unbind@/devices/same ACTION=unbind DEVPATH=/devices/same SUBSYSTEM=vdpa SEQNUM=101 ',
    ],
    'dev',
  );
  const dev = (name: string, more: object): object => ({ object: 'dev', name, ...more });
  assert.deepEqual(events.slice(0, 1), [{ object: 'monitor', event: 'lost' }]);
  const of = (name: string): object[] => events.filter((event) => 'name' in event && event.name === name);
  assert.deepEqual(of('moved'), [
    dev('moved', { event: 'changed', part: 'netdev', partName: 'eth0', change: 'removed' }),
    dev('moved', { event: 'unbound' }),
    dev('moved', { event: 'bound', driver: 'vhost_vdpa', vhost: 'vhost-vdpa-1' }),
  ]);
  assert.deepEqual(of('node'), [
    dev('node', { event: 'unbound' }),
    dev('node', { event: 'bound', driver: 'vhost_vdpa', vhost: 'vhost-vdpa-3' }),
  ]);
  assert.deepEqual(of('class'), [
    dev('class', { event: 'removed' }),
    dev('class', { event: 'added', device: { name: 'class', managementDevice: 'm', deviceId: 2 } }),
    dev('class', { event: 'changed', part: 'block', partName: 'vda', change: 'added' }),
    dev('class', { event: 'bound', driver: 'virtio_vdpa' }),
  ]);
  assert.deepEqual(of('renamed'), [
    dev('renamed', { event: 'changed', part: 'netdev', partName: 'lan0', change: 'renamed', oldName: 'eth1' }),
  ]);
  assert.deepEqual(of('same'), [dev('same', { event: 'unbound' })]);
});

test('leaving the loop closes the socket, once', async () => {
  const monitor = await open([vdpa('add', 'a'), vdpa('add', 'b')]);
  const seen: string[] = [];
  for await (const { event } of monitor) {
    seen.push(event);
    break;
  }
  assert.deepEqual([seen, closed], [['added'], 1]);
  for await (const { event } of monitor) seen.push(event);
  await monitor.close();
  assert.deepEqual([seen, closed], [['added'], 1]);
  const failing = await open([Errno.EIO]);
  await assert.rejects(async () => {
    for await (const { event } of failing) seen.push(event);
  });
  assert.equal(closed, 2);
});

/** A socket on which nothing arrives until it is closed. */
function silence(): NetlinkTransport {
  let close = (): void => undefined;
  const closing = new Promise<void>((resolve) => {
    close = resolve;
  });
  return {
    port: 1,
    send: () => undefined,
    receive: async (timeoutMs) => {
      const timer = new AbortController();
      const timeLimit = sleep(timeoutMs, undefined, { signal: timer.signal }).catch(() => undefined);
      await Promise.race([closing, timeLimit]);
      timer.abort();
      throw new NetlinkError({ operation: 'receive', errno: Errno.ETIMEDOUT });
    },
    close: () => {
      closed++;
      close();
    },
  };
}

const idle: MonitorOptions['client'] = {
  device: () => Promise.reject(new NetlinkError({ operation: 'show', errno: Errno.ENODEV })),
  managementDevices: () => Promise.resolve([]),
};

test('an AbortSignal ends the iteration with its reason while nothing happens, and closes the socket', async () => {
  const bus = new VdpaBus(machine.files);
  const controller = new AbortController();
  const { signal } = controller;
  const monitor = await VdpaMonitor.open({ client: idle, bus, transport: silence(), signal });
  const next = monitor[Symbol.asyncIterator]().next();
  const reason = new Error('enough');
  controller.abort(reason);
  await assert.rejects(next, (error) => error === reason);
  assert.equal(closed, 1);
  const late = VdpaMonitor.open({ client: idle, bus, transport: silence(), signal });
  await assert.rejects(late, (error) => error === reason);
  assert.equal(closed, 2);
});

test('a time limit for the next event', async () => {
  const bus = new VdpaBus(machine.files);
  const monitor = await VdpaMonitor.open({ client: idle, bus, transport: silence(), timeoutMs: 20 });
  await assert.rejects(monitor[Symbol.asyncIterator]().next(), {
    name: 'NetlinkError',
    code: 'ETIMEDOUT',
    operation: 'wait for an event',
  });
  assert.equal(closed, 1);
  await monitor[Symbol.asyncDispose]();
  assert.equal(closed, 1);
});

test('management devices are listed again after a driver or its device comes or goes, once things are quiet', async () => {
  managementDevices = [{ handle: 'a', maxVirtqueues: 2 }, { handle: 'b' }];
  const pci = 'bind@x ACTION=bind DEVPATH=/devices/pci0/x SUBSYSTEM=pci DRIVER=mlx5_core ';
  const events = await watch(
    [
      pci,
      () => {
        managementDevices = [{ handle: 'a', maxVirtqueues: 4 }, { handle: 'pci/x' }];
      },
      pci,
      vdpa('add', 'dev0'),
    ],
    'mgmtdev',
  );
  assert.deepEqual(events, [
    { object: 'mgmtdev', event: 'removed', device: { handle: 'b' } },
    { object: 'mgmtdev', event: 'changed', device: { handle: 'a', maxVirtqueues: 4 } },
    { object: 'mgmtdev', event: 'added', device: { handle: 'pci/x' } },
  ]);
});

test('a datagram that is not an event is an error', () => {
  for (const text of ['', 'add@/devices/a', 'ACTION=add\0DEVPATH=/devices/a\0', 'libudev\0']) {
    assert.throws(() => parseUevent(new TextEncoder().encode(text)), { name: 'NetlinkProtocolError' });
  }
});

test('times are written as ip writes them', () => {
  const time = new Date(2026, 6, 4, 3, 2, 1).getTime() * 1000 + 42;
  assert.equal(formatTime(time), 'Sat Jul  4 03:02:01 2026 42 usec');
});
