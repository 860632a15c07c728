/**
 * Checks whether a VDUSE instance is served: drivers/vdpa/vdpa_user/vduse_dev.c permits one process at a time to open
 * its node.
 */
import { constants } from 'node:fs';
import { Errno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';
import { isFileName } from './bus.js';
import type { MachineFiles } from './machine-files.js';
import { OpenNodes, probeNode } from './open-nodes.js';

/** Why the server of an instance does not respond. */
export type ServerTrouble =
  | { readonly kind: 'server'; readonly trouble: 'gone'; readonly name: string }
  | {
      readonly kind: 'server';
      readonly trouble: 'stopped';
      readonly name: string;
      readonly pid: number;
      readonly command: string;
    };

/**
 * Returns the problem of the server of an instance; undefined if there is no such instance, or no problem visible from
 * outside.
 *
 * Command line: `vdpa vduse show NAME`.
 * @throws SystemError if the machine's files cannot be read
 */
export function findServerTrouble(
  files: MachineFiles,
  name: string,
  nodes = new OpenNodes(files),
): ServerTrouble | undefined {
  if (!isFileName(name) || name === 'control') return undefined;
  const node = `/dev/vduse/${name}`;
  if (files.deviceNumber(node) === undefined) return undefined;
  const servers = nodes.openersOf(node);
  const [server] = servers;
  if (server === undefined) {
    // A server in an outer PID namespace is not visible, but keeps the node from being opened.
    return probeNode(files, node, constants.O_RDWR) === 'free' ? { kind: 'server', trouble: 'gone', name } : undefined;
  }
  if (!servers.every(({ stopped }) => stopped)) return undefined;
  return { kind: 'server', trouble: 'stopped', name, pid: server.pid, command: server.command };
}

/** Human-readable problem and remedy, without a full stop. */
export function describeServerTrouble(trouble: ServerTrouble): string {
  const { name } = trouble;
  if (trouble.trouble === 'gone') {
    return `the server of ${name} is no longer running; start it again with the same arguments ("vdpa vduse serve name ${name} ..." if it was one of vdpa's own)`;
  }
  const { pid, command } = trouble;
  return `the server of ${name}, process ${pid} (${command}), is stopped; resume it with "kill -CONT ${pid}"`;
}

/**
 * Throws if an instance is to be bound to a driver while its server does not respond: the kernel would wait 30 s, with
 * every other vdpa request, and then give up the device.
 * @throws SystemError EBUSY
 */
export function refuseUnserved(files: MachineFiles, name: string, operation: string): void {
  const trouble = findServerTrouble(files, name);
  if (trouble) throw new SystemError({ operation, errno: Errno.EBUSY, hint: explainServerTrouble(trouble) });
}

/** The same as a whole sentence, with the effect in the kernel. */
export function explainServerTrouble(trouble: ServerTrouble): string {
  return `The kernel would block, and with it all vdpa commands: ${describeServerTrouble(trouble)}`;
}
