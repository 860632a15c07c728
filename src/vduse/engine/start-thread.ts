import { SHARE_ENV, Worker, type WorkerOptions } from 'node:worker_threads';
import { assetText } from '../../sys/assets.js';
import { isExecutable } from '../../sys/program.js';
import { moduleUrl, type ThreadModule } from './module-url.js';

/**
 * Starts a thread that runs one of the program's modules, with the environment of the process. What it opens is its own to
 * close: Node does not.
 */
export function startThread(name: ThreadModule, options: WorkerOptions): Worker {
  const url = moduleUrl(name);
  const all: WorkerOptions = { ...options, env: SHARE_ENV, trackUnmanagedFds: false };
  if (!isExecutable) return new Worker(new URL(url), all);
  const loader = Buffer.from(assetText('threads/embedded-modules.js')).toString('base64');
  return new Worker(new URL(`data:text/javascript;base64,${loader}`), { ...all, argv: [url] });
}
