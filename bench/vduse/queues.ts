/** Devices with four full queues. */
import { queueDisks } from './disk-names.js';
import { imageBytes, serverCommand } from './disks.js';
import type { Plan } from './plan.js';
import type { QueueResults, Turn } from './results.js';
import type { Load } from './loaded-queue.js';
import { loadQueues } from './ring-load.js';
import { giveToVhost, ServerProcess } from './server.js';

const load: Load = { queues: 4, depth: 32, size: imageBytes };

interface QueueDevice {
  readonly name: (typeof queueDisks)[number];
  readonly server: ServerProcess;
  readonly node: string;
}

/** All devices, reading and writing, in turn. */
export async function measureQueues({ rounds, seconds }: Plan): Promise<QueueResults> {
  const devices: QueueDevice[] = [];
  for (const [index, name] of queueDisks.entries()) {
    const device = `queues${index}`;
    const server = await ServerProcess.start(device, serverCommand(name, device, load.queues) ?? []);
    devices.push({ name, server, node: await giveToVhost(device) });
  }
  const take = ({ server, node }: QueueDevice, writing: boolean, time: number): Turn => {
    const before = server.cpuSeconds;
    const { requests, seconds } = loadQueues(node, load, writing, time);
    const requestsPerSecond = requests / seconds;
    return {
      requestsPerSecond,
      bytesPerSecond: requestsPerSecond * 4096,
      requests,
      cpuSeconds: server.cpuSeconds - before,
    };
  };
  const results = Object.fromEntries(queueDisks.map((name) => [name, { read: [], write: [] }])) as unknown as Record<
    (typeof queueDisks)[number],
    { read: Turn[]; write: Turn[] }
  >;
  for (let round = -1; round < rounds; round++) {
    for (const writing of [false, true]) {
      for (let index = 0; index < devices.length; index++) {
        const device = devices[(index + round + 1) % devices.length];
        if (!device) continue;
        const turn = take(device, writing, seconds);
        // The first round only compiles everything.
        if (round >= 0) results[device.name][writing ? 'write' : 'read'].push(turn);
      }
    }
    if (round >= 0) console.error(`queues: round ${round + 1} of ${rounds}`);
  }
  for (const { server } of devices) await server.stop();
  return results;
}
