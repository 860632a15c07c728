/** Named network namespaces, see ip-netns(8), and running code in one of them; setns(2). */
import { closeSync, constants, openSync, readdirSync } from 'node:fs';
import { checked, libc } from './libc.js';

/** From linux/sched.h. */
const CLONE_NEWNET = 0x4000_0000;

const NAMED = '/run/netns';
const OWN = '/proc/thread-self/ns/net';

const setns: (fd: number, kind: number) => number = libc.func('int setns(int fd, int kind)');

/**
 * Runs a function in each named namespace in turn, until it returns a result. Only the calling thread enters the
 * namespace, and it is back when this returns. Namespaces that this process may not enter are skipped.
 */
export function inNamedNamespaces<Result>(task: () => Result | undefined): Result | undefined {
  for (const name of namesOf(NAMED)) {
    const result = inNamespace(`${NAMED}/${name}`, task);
    if (result !== undefined) return result;
  }
  return undefined;
}

function namesOf(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    // There are no named namespaces.
    return [];
  }
}

function inNamespace<Result>(path: string, task: () => Result | undefined): Result | undefined {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW;
  const own = openSync(OWN, constants.O_RDONLY);
  let entered: boolean;
  try {
    const fd = openSync(path, flags);
    entered = setns(fd, CLONE_NEWNET) === 0;
    closeSync(fd);
  } catch {
    // It was deleted in the meantime.
    entered = false;
  }
  try {
    return entered ? task() : undefined;
  } finally {
    if (entered) checked('return to the original network namespace', setns(own, CLONE_NEWNET));
    closeSync(own);
  }
}
