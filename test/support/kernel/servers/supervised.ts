import '../lab/inside.js';
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../random.js';
import { start, until, type Ran } from './vduse.js';

/** Runs a command line in a separate process. */
export const vdpaProcess = (line: string): Promise<Ran> => start('/run/bin/vdpa', ...line.split(' '));

/** The same for a line that must succeed without output. */
export async function done(line: string): Promise<void> {
  assert.deepEqual(await vdpaProcess(line), { status: 0, stdout: '', stderr: '' }, line);
}

/** What `vduse show` reports about a server. */
export interface ShownServer {
  readonly pid: number;
  readonly errors: number;
  readonly requests: number;
}

interface Shown {
  readonly pid?: number;
  readonly errors?: number;
  readonly queue?: readonly { readonly requests: number }[];
}

const show = async (name: string): Promise<{ readonly ran: Ran; readonly server: Shown }> => {
  const ran = await vdpaProcess(`-j vduse show ${name}`);
  const shown = ran.status === 0 ? (JSON.parse(ran.stdout) as { vduse: Record<string, Shown> }).vduse[name] : undefined;
  return { ran, server: shown ?? {} };
};

/** The server of a device. */
export async function serverOf(name: string): Promise<ShownServer> {
  const { ran, server } = await show(name);
  assert.equal(ran.status, 0, ran.stderr);
  const { pid = 0, errors = 0, queue = [] } = server;
  return { pid, errors, requests: queue.reduce((sum, { requests }) => sum + requests, 0) };
}

/** Waits until another server serves a device. @returns its process id */
export function newServer(name: string, old: number): Promise<number> {
  return until('another server serves', async () => {
    const { pid = old } = (await show(name)).server;
    return pid !== old && pid;
  });
}

/** A supervisor gives up after five servers in a row that lived for less than two seconds each. */
const SHORT_LIVES = 3;
const LONG_LIFE_MS = 2000;

/** Waits until a server may be killed: a random time, and so long now and then that its supervisor does not give up. */
export async function letLive(random: Random, killed: number): Promise<void> {
  const isLong = killed % (SHORT_LIVES + 1) === SHORT_LIVES;
  await sleep((isLong ? LONG_LIFE_MS : 0) + random.below(500));
}
