/**
 * Serves devices in a separate process, for tests that block in the kernel until the server answers, or that kill the server.
 * Started with fork(): argv contains the devices' options as JSON; see server-process.ts.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { koffi } from '../../../../src/sys/koffi.js';
import { libc } from '../../../../src/sys/libc.js';
import { serveBlockDevice } from '../../../../src/vduse/block/device.js';
import { serveNetDevice, type NetDeviceOptions } from '../../../../src/vduse/net/device.js';
import type { VduseServer } from '../../../../src/vduse/server.js';
import type { FromServer, InUse, ServedDeviceSpec, ToServer } from './server-process.js';

/** struct mallinfo2 of malloc.h: all are size_t. */
const FIELDS = [
  'arena',
  'ordblks',
  'smblks',
  'hblks',
  'hblkhd',
  'usmblks',
  'fsmblks',
  'uordblks',
  'fordblks',
  'keepcost',
];
koffi.struct('mallinfo2', Object.fromEntries(FIELDS.map((field) => [field, 'size_t'])));
/** For all threads: uordblks is what is in use on the heaps, hblkhd what has its own mapping. */
const mallinfo2: () => { readonly uordblks: number; readonly hblkhd: number } = libc.func('mallinfo2 mallinfo2()');

const send = (message: FromServer): void => {
  process.send?.(message);
};

function inUse(): InUse {
  globalThis.gc?.();
  const { uordblks, hblkhd } = mallinfo2();
  return {
    bytes: uordblks + hblkhd + process.memoryUsage().heapUsed,
    mappings: readFileSync('/proc/self/maps', 'latin1').split('\n').length,
    descriptors: readdirSync('/proc/self/fd').length,
  };
}

const serve = async (device: ServedDeviceSpec): Promise<VduseServer> =>
  isNet(device) ? (await serveNetDevice(device)).server : (await serveBlockDevice(device)).server;

const isNet = (device: ServedDeviceSpec): device is NetDeviceOptions =>
  device.backend.type === 'loopback' || device.backend.type === 'tap';

const options = JSON.parse(process.argv[2] ?? '[]') as ServedDeviceSpec[];
const servers = await Promise.all(options.map(serve));
for (const server of servers) {
  server.on('broken', (queue, reason) => {
    send({ type: 'broken', name: server.name, queue, reason });
  });
  server.on('error', (error) => {
    throw error;
  });
}

process.on('message', (message: ToServer) => {
  if (message.type === 'status') {
    const { rss } = process.memoryUsage();
    send({ type: 'status', rss, inUse: inUse(), devices: servers.map((server) => server.status()) });
  } else {
    void Promise.all(servers.map((server) => server.stop({ keep: message.keep }))).then(() => {
      process.disconnect();
    });
  }
});
send({ type: 'ready' });
