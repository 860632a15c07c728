/**
 * Serves block devices in a process of its own, for tests whose own process blocks in the kernel until the server answers,
 * or ends the server. Started with fork(): argv holds the devices' options as JSON; see block-server-process.ts.
 */
import { serveBlockDevice, type BlockDeviceOptions } from '../../../src/vduse/block-device.js';
import type { FromServer, ToServer } from './block-server-process.js';

const send = (message: FromServer): void => {
  process.send?.(message);
};

const options = JSON.parse(process.argv[2] ?? '[]') as BlockDeviceOptions[];
const servers = await Promise.all(options.map(serveBlockDevice));
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
    send({ type: 'status', rss, devices: servers.map((server) => server.status()) });
  } else {
    void Promise.all(servers.map((server) => server.stop({ keep: message.keep }))).then(() => {
      process.disconnect();
    });
  }
});
send({ type: 'ready' });
