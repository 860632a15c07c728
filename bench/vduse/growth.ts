/** Measures whether the memory of a server grows with the requests it serves. */
import { serverCommand, imageBytes } from './disks.js';
import type { Plan } from './plan.js';
import type { GrowthResults } from './results.js';
import { loadQueues } from './ring-load.js';
import { giveToVhost, ServerProcess } from './server.js';

const turnSeconds = 2;
/** Until then a server compiles its code, and its heap reaches its size. */
const warmUpRequests = 500_000;

/** Alternates reads and writes until there are this many. */
export async function measureGrowth({ growthRequests }: Plan): Promise<GrowthResults> {
  const device = 'growth0';
  const server = await ServerProcess.start(device, serverCommand('vdpa file', device) ?? []);
  const node = await giveToVhost(device);
  let requests = 0;
  const load = (until: number): void => {
    for (let writing = false; requests < until; writing = !writing) {
      requests += loadQueues(node, { queues: 1, depth: 32, size: imageBytes }, writing, turnSeconds).requests;
    }
  };
  load(warmUpRequests);
  const before = server.resident;
  const from = requests;
  load(from + growthRequests);
  const after = server.resident;
  await server.stop();
  return { requests: requests - from, before, after };
}
