/** The NBD server that clients are compared on. */
import { startNbdkit, type ServerProcess } from '../../test/support/nbd-server.js';
import type { NbdDelay } from './results.js';

export const nbdBytes = 2 ** 28;

/** Threads of nbdkit for each connection: as many as requests are in flight at most, so that none waits for another. */
const THREADS = 128;

/** nbdkit with memory, after a delay. */
export function startMemory(delay: NbdDelay): Promise<ServerProcess> {
  const filter = delay === 0 ? [] : ['--filter=delay'];
  const parameters = delay === 0 ? [] : [`rdelay=${delay}ms`, `wdelay=${delay}ms`];
  return startNbdkit(`--threads=${THREADS}`, ...filter, 'memory', String(nbdBytes), ...parameters);
}
