import { existsSync, readFileSync } from 'node:fs';
import { bash, start, until } from './vduse.js';

/** The program that serves a VDUSE device, for `needs`. */
export const QEMU = 'qemu-storage-daemon';

/**
 * Makes QEMU serve a disk of 16 MiB.
 * @param attach attaches it and returns whether that worked: QEMU sets its queues up a moment after it creates the instance
 * @returns a function that stops QEMU, unless it has ended, and waits for its exit
 */
export async function serveWithQemu(name: string, attach: () => Promise<boolean>): Promise<() => Promise<void>> {
  const [image, pidFile] = [`/tmp/${name}.img`, `/tmp/${name}.pid`];
  await bash(`truncate -s 16M ${image}`);
  const ended = start(
    QEMU,
    ...['--blockdev', `driver=file,node-name=f,filename=${image}`, '--pidfile', pidFile],
    ...['--export', `type=vduse-blk,id=e,node-name=f,name=${name},writable=on`],
  );
  let hasEnded = false;
  void ended.then(() => (hasEnded = true));
  await until('QEMU serves', async () => existsSync(`/dev/vduse/${name}`) && (await attach()));
  return async () => {
    if (!hasEnded) process.kill(Number(readFileSync(pidFile, 'utf8')));
    await ended;
  };
}
