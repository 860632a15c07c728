import '../lab/inside.js';
import type { TestContext } from 'node:test';
import { bash } from './vduse.js';

/** A disk in a file that is created, for the time of a test. @returns `/dev/loop0` */
export async function loopDisk(context: TestContext, file: string, mebibytes: number): Promise<string> {
  const image = `${file}.img`;
  const disk = (await bash(`truncate -s ${mebibytes}M ${image}; losetup -f --show ${image}`)).trim();
  context.after(() => bash(`losetup -d ${disk}; rm ${image}`));
  return disk;
}
