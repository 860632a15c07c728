/**
 * Entry point of the thread that connects to an NBD server, for all data threads of a device: names are looked up here,
 * handshakes and TLS take place here, and what was lost is connected again. See connections.ts, which uses it.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { connectFailure, type NbdConnection } from '../../../nbd/connect.js';
import { FLAG_CAN_MULTI_CONN } from '../../../nbd/protocol.js';
import { readTlsOptions } from '../../../nbd/tls.js';
import { parseNbdUri } from '../../../nbd/uri.js';
import { monotonicMs } from '../../../sys/clock.js';
import { clearEventfd, EPOLLIN } from '../../../sys/events.js';
import { close } from '../../../sys/libc.js';
import { ready } from '../../../sys/readable.js';
import { sleep } from '../../../sys/wait.js';
import type { ConnectorOptions, ConnectorReply } from './connections.js';
import { connectInTime, differenceOf, Keeper, type KeeperOptions } from './keeper.js';
import { Link } from './link.js';

const MAX_CHECK_MS = 1000;
const RETRY_MS = 250;

const reply = (message: ConnectorReply): void => parentPort?.postMessage(message);

// connections.ts starts this thread with them.
const start = workerData as ConnectorOptions;
const ending = new AbortController();

/** @throws errors of connecting, after so many milliseconds of trying */
async function connectPatiently(options: KeeperOptions, patienceMs: number): Promise<NbdConnection> {
  const deadline = monotonicMs() + patienceMs;
  for (;;) {
    try {
      return await connectInTime(options);
    } catch (error) {
      if (options.signal.aborted || monotonicMs() >= deadline) throw error;
    }
    await sleep(RETRY_MS, options.signal);
  }
}

async function openAll(options: KeeperOptions): Promise<Keeper[]> {
  const first = await connectPatiently(options, start.patienceMs);
  const described = first.export;
  const connections = [first];
  try {
    const count = (described.flags & FLAG_CAN_MULTI_CONN) === 0 ? 1 : start.links.length;
    while (connections.length < count) {
      const next = await connectInTime(options);
      connections.push(next);
      const difference = differenceOf(described, next.export);
      if (difference !== undefined) throw new Error(`The connections differ: ${difference}`);
    }
  } catch (error) {
    for (const connection of connections) {
      connection.end();
      close(connection.fd);
    }
    throw error;
  }
  const keepers = connections.map((connection, index) => {
    const link = start.links[index];
    if (link === undefined) throw new Error(`there is no link ${index}`);
    const keeper = new Keeper(new Link(link), options, described, (state, reason) => {
      reply({ type: 'changed', link: index, state, ...(reason !== undefined && { reason }) });
    });
    keeper.offer(connection);
    return keeper;
  });
  reply({ type: 'opened', export: described, connections: keepers.length });
  return keepers;
}

/** Follows the data threads until the end. */
async function follow(keepers: readonly Keeper[], signal: AbortSignal): Promise<void> {
  const timer = setInterval(
    () => {
      for (const keeper of keepers) keeper.check();
    },
    Math.min(MAX_CHECK_MS, start.silenceMs / 2),
  );
  try {
    while (!signal.aborted) {
      await ready(start.wake, EPOLLIN, signal);
      clearEventfd(start.wake);
      for (const keeper of keepers) keeper.check();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    clearInterval(timer);
  }
}

parentPort?.on('message', () => {
  ending.abort(new Error('The server ends'));
});

async function run(): Promise<void> {
  const uri = parseNbdUri(start.uri);
  const { reconnectMs, silenceMs, connectMs } = start;
  const tls = uri.tls && readTlsOptions(uri.tls);
  const keepers = await openAll({ uri, tls, reconnectMs, silenceMs, connectMs, signal: ending.signal });
  await follow(keepers, ending.signal);
  await Promise.all(keepers.map((keeper) => keeper.end()));
}

try {
  await run();
} catch (error) {
  reply({ type: 'refused', text: connectFailure(error) });
}
parentPort?.close();
