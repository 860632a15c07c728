/** qemu-storage-daemon, driven as the engine is. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { openEventfd } from '../../src/sys/events.js';
import { close } from '../../src/sys/libc.js';
import type { Load } from './loaded-queue.js';
import { MemoryDriver } from './memory-driver.js';
import { eventually } from './server.js';
import { VhostUserDisk } from './vhost-user.js';

/** VIRTIO_BLK_F_FLUSH, VIRTIO_RING_F_EVENT_IDX, VIRTIO_F_VERSION_1. */
const FEATURES = (1n << 9n) | (1n << 29n) | (1n << 32n);

/**
 * Random reads or writes of 4 KiB, for so many seconds. Its export has a thread of its own, which polls before it sleeps.
 * @param load with the driver of the storage and its options, the path of the socket to create, and the processor to run
 *   on; any by default
 * @returns requests a second
 */
export async function measureQemu(
  load: Load & {
    readonly node: string;
    readonly socket: string;
    readonly processor?: number;
    readonly deviceThreads?: number;
  },
  writing: boolean,
  seconds: number,
): Promise<number> {
  const { node, socket, queues, processor, deviceThreads = 1 } = load;
  const server = spawn(
    processor === undefined ? 'qemu-storage-daemon' : 'taskset',
    [
      ...(processor === undefined ? [] : ['--cpu-list', `${processor}`, 'qemu-storage-daemon']),
      ...['--object', 'iothread,id=thread'],
      ...['--blockdev', `${node},node-name=storage`],
      ...['--blockdev', 'driver=raw,node-name=disk,file=storage'],
      '--export',
      `type=vhost-user-blk,id=export,node-name=disk,addr.type=unix,addr.path=${socket},writable=on,` +
        `num-queues=${queues},iothread=thread`,
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const ended = once(server, 'exit');
  try {
    await eventually('qemu-storage-daemon listens', () => {
      if (server.exitCode !== null) throw new Error(`qemu-storage-daemon ended with status ${server.exitCode}`);
      return existsSync(socket) || undefined;
    });
    const disk = new VhostUserDisk(socket);
    const kicks = Array.from({ length: queues }, openEventfd);
    const driver = new MemoryDriver(load, (queue) => kicks[queue] ?? -1);
    disk.start(driver, FEATURES);
    const rate = driver.measure(writing, seconds, deviceThreads);
    disk.close();
    driver.close();
    for (const kick of kicks) close(kick);
    return rate;
  } finally {
    // On an NBD server, version 7.2 does not always end when it is asked to.
    server.kill('SIGKILL');
    await ended;
  }
}
