/** Linux's own drivers, and one through vhost-vdpa, on packed virtqueues. */
import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { featureMask } from '../../src/virtio/feature-mask.js';
import { VIRTIO_BLK_S_OK as OK, VIRTIO_BLK_T_IN as IN } from '../../src/virtio/block.js';
import { VdpaBus } from '../../src/sysfs/bus.js';
import type { BlockDeviceOptions } from '../../src/vduse/block/device.js';
import type { ServerStatus } from '../../src/vduse/engine/status.js';
import { noDiskErrors, sameContent } from '../support/kernel/drivers/disk-checks.js';
import { fio } from '../support/kernel/drivers/fio.js';
import { killInFlight } from '../support/kernel/drivers/kill-in-flight.js';
import { VhostBlock } from '../support/kernel/drivers/vhost-block.js';
import { DRIVER_OK } from '../../src/vhost/driver.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { loopDisk } from '../support/kernel/servers/loop-disk.js';
import { netDevice, ping, pingAndTransfer, transfer } from '../support/kernel/servers/net-device.js';
import { ServerProcess } from '../support/kernel/servers/server-process.js';
import { done, newServer, serverOf } from '../support/kernel/servers/supervised.js';
import {
  attach,
  bash,
  blockDevice,
  detach,
  diskOf,
  giveTo,
  giveToVhost,
  sh,
  until,
} from '../support/kernel/servers/vduse.js';

const { describe, test } = testsWith(VDUSE);

const MIB = 1024 * 1024;
const KILLS = Number(process.env['VDPA_KILLS'] ?? 12);
const SEED = Number(process.env['VDPA_KILL_SEED'] ?? Math.floor(Date.now() / 86_400_000));
const PACKED = featureMask(undefined, ['RING_PACKED']);

const TO_HOST = ['guest', 'host', '10.1.1.2'] as const;
const TO_GUEST = ['host', 'guest', '10.1.1.1'] as const;

/** The driver has accepted packed queues. */
function isPacked({ features }: ServerStatus): void {
  assert.equal(features & PACKED, PACKED);
}

/** Serves a device from a process of its own: opening it through vhost-vdpa waits for its server. */
async function serve(context: TestContext, device: BlockDeviceOptions): Promise<ServerProcess> {
  const server = await ServerProcess.start(device);
  context.after(async () => {
    await detach(device.name);
    await server.stop();
  });
  await attach(device.name);
  return server;
}

/**
 * Requests that fit together into the bounce buffer of VDUSE: Linux's drivers fail a request of a packed queue whose
 * memory they cannot map, instead of trying it again.
 */
const verify = (disk: string, depth: number, jobs: number): ReturnType<typeof fio> =>
  fio(
    jobs,
    ...[
      '--name=verify',
      `--filename=${disk}`,
      '--rw=randrw',
      '--bsrange=4k-128k',
      '--bs_unaligned=0',
      '--blockalign=4k',
    ],
    ...['--verify=crc32c', '--verify_fatal=1', '--verify_backlog=64', '--do_verify=1', '--serialize_overlap=1'],
    ...['--ioengine=libaio', '--direct=1', `--iodepth=${depth}`, '--offset_increment=16m'],
    ...['--size=16m', '--loops=2', '--randrepeat=0'],
  );

describe('a disk with packed queues', () => {
  for (const [queues, depth] of [
    [1, 1],
    [1, 32],
    [4, 8],
    [4, 64],
  ] as const) {
    for (const type of ['ram', 'file'] as const) {
      test(`${type}, ${queues} queues, fio --verify at depth ${depth}: no error`, async (context) => {
        const path = '/tmp/packed.img';
        await bash(`truncate -s 64M ${path}`);
        const backend = type === 'ram' ? ({ type, size: 64 * MIB } as const) : ({ type, path } as const);
        const { disk, server } = await blockDevice(context, {
          name: 'packed0',
          backend,
          queues,
          threads: queues,
          packed: true,
        });
        isPacked(server.status());
        for (const { read, write } of await verify(disk, depth, 4))
          assert.ok(read.total_ios > 0 && write.total_ios > 0);
        for (const queue of server.status().queues) assert.equal(queue.errors, 0);
        await noDiskErrors();
        if (type === 'file') await sameContent(disk, path);
      });
    }
  }

  test('a short queue: chains and indirect tables around its end', async (context) => {
    const { disk, server } = await blockDevice(context, {
      name: 'packed1',
      backend: { type: 'ram', size: 64 * MIB },
      queueSize: 4,
      packed: true,
    });
    isPacked(server.status());
    await verify(disk, 16, 4);
    assert.equal(server.status().queues[0]?.errors, 0);
  });

  test(`${KILLS} servers killed with requests in flight: no error, every block verified`, async (context) => {
    await killInFlight(context, await loopDisk(context, '/tmp/packed-flight', 32), KILLS, SEED, ' packed on');
  });

  test('bound to vhost-vdpa and back, and reset, again and again: each driver begins anew', async (context) => {
    const server = await serve(context, { name: 'packed2', backend: { type: 'ram', size: 16 * MIB }, packed: true });
    await giveTo('packed2', 'virtio_vdpa');
    for (let round = 0; round < 3; round++) {
      const disk = await diskOf('packed2');
      await bash(`dd if=/dev/urandom of=${disk} bs=4k count=64 oflag=direct status=none`);
      isPacked(await server.device('packed2'));
      const driver = new VhostBlock(await giveToVhost('packed2'));
      for (let reset = 0; reset < 3; reset++) {
        driver.start();
        isPacked(await server.device('packed2'));
        for (let request = 0; request < 50; request++) driver.checkService(request);
      }
      driver.close();
      await giveTo('packed2', 'virtio_vdpa');
    }
    assert.equal((await server.device('packed2')).queues[0]?.errors, 0);
  });

  test('suspended, its queue has the place and the wrap counter at which the device continues', async (context) => {
    const backend = { type: 'ram', size: 16 * MIB } as const;
    const server = await serve(context, { name: 'packed3', backend, queues: 2, queueSize: 64, packed: true });
    const driver = new VhostBlock(await giveToVhost('packed3'), { queues: 2, queueSize: 64 });
    try {
      driver.start();
      isPacked(await server.device('packed3'));
      assert.equal(driver.vhost.queueBase(0), 0x8000_8000, 'before the first request');
      // Three descriptors each: after 32 requests the second lap is half done.
      for (let request = 0; request < 32; request++) assert.equal(driver.request(IN, 0, 512), OK);
      driver.vhost.enable(0, false);
      assert.equal(driver.vhost.queueBase(0), 32 | (32 << 16));
      driver.vhost.enable(0, true);
      for (let request = 0; request < 50; request++) assert.equal(driver.request(IN, 0, 512), OK);
      driver.vhost.suspend();
      const { base } = driver.ring();
      assert.equal(driver.vhost.queueBase(0), base);
      const rings = driver.rings.slice();
      const memory = driver.memory.u8.slice();
      driver.prepare();
      // The next driver has the rings of the last one, as after a migration.
      driver.memory.u8.set(memory);
      driver.rings = rings;
      driver.vhost.setQueueBase(0, base);
      driver.vhost.status = DRIVER_OK;
      for (let request = 0; request < 50; request++) assert.equal(driver.request(IN, 0, 512), OK);
      assert.equal((await server.device('packed3')).queues[0]?.state, 'running');
    } finally {
      // An open node keeps the kernel from deleting its device.
      driver.close();
    }
  });

  // It lets the kernel report errors: last, for the others find none.
  test('more in flight than fits into the bounce buffer: smaller requests help, or a larger one', async (context) => {
    const read = (disk: string): ReturnType<typeof fio> =>
      fio(
        1,
        ...['--name=large', `--filename=${disk}`, '--rw=read', '--bs=256k', '--ioengine=libaio', '--direct=1'],
        ...['--iodepth=64', '--size=32m'],
      );
    /** The size can be set before the device is attached for the first time. */
    const diskWith = async (name: string, bounceMebibytes: number): Promise<string> => {
      const backend = { type: 'ram', size: 32 * MIB } as const;
      const server = await ServerProcess.start({ name, backend, queueSize: 64, packed: true });
      context.after(async () => {
        await detach(name);
        await server.stop();
      });
      await writeFile(`/sys/class/vduse/${name}/bounce_size`, `${bounceMebibytes * MIB}`);
      await attach(name);
      return diskOf(name);
    };
    const disk = await diskWith('packed4', 4);
    const limit = (kibibytes: number): Promise<void> =>
      writeFile(`/sys/block/${disk.slice('/dev/'.length)}/queue/max_sectors_kb`, `${kibibytes}`);
    await limit(32);
    await read(disk);
    await limit(256);
    await assert.rejects(read(disk), /Input\/output error/);
    await read(await diskWith('packed5', 32));
  });
});

describe('a network device with packed queues', () => {
  test('tap: ping and TCP, checksummed, both ways, with merged receive buffers', async (context) => {
    await bash('head -c 50M /dev/urandom > /tmp/50M');
    const device = await netDevice(context, {
      name: 'packedtap',
      backend: { type: 'tap', ifname: 'vdpapack' },
      packed: true,
    });
    isPacked(device.server.status());
    await pingAndTransfer(context, device, '/tmp/50M');
    const [receiving, sending] = device.server.status().queues;
    assert.ok(receiving && sending);
    assert.ok(receiving.bytesIn / receiving.requests > 4000, `${receiving.bytesIn} in ${receiving.requests}`);
    assert.equal(receiving.state, 'running');
  });

  test('servers killed under TCP: the next one continues, and no byte is lost or doubled', async (context) => {
    await bash('head -c 50M /dev/urandom > /tmp/50M');
    await done('dev add mgmtdev vduse name packednet type net ifname vdpapk1 packed on restart on');
    context.after(() => done('dev del packednet'));
    const netdev = await until('the interface exists', () => new VdpaBus().device('packednet')?.netdev);
    await sh('ip netns add guest');
    await sh('ip netns add host');
    context.after(() => bash('ip netns del guest; ip netns del host'));
    await sh(`ip link set ${netdev} netns guest`);
    await sh('ip link set vdpapk1 netns host');
    await sh(`ip -n guest address add 10.1.1.1/24 dev ${netdev}`);
    await sh('ip -n host address add 10.1.1.2/24 dev vdpapk1');
    await sh(`ip -n guest link set ${netdev} up`);
    await sh('ip -n host link set vdpapk1 up');
    await ping('guest', '10.1.1.2', 3);
    for (let kills = 0; kills < 3; kills++) {
      const { pid } = await serverOf('packednet');
      const [from, to, address] = kills % 2 === 0 ? TO_HOST : TO_GUEST;
      const transferred = transfer(from, to, address, '/tmp/50M');
      await sleep(2000); // Its supervisor gives up when servers live for less.
      process.kill(pid, 'SIGKILL');
      await newServer('packednet', pid);
      const [sent, came] = await transferred;
      assert.equal(came, sent);
    }
    await ping('host', '10.1.1.1', 10);
  });
});
