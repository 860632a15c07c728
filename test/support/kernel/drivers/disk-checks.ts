import '../lab/inside.js';
import assert from 'node:assert/strict';
import { bash, sh } from '../servers/vduse.js';

/** Sees that the kernel has told of no error of a disk. */
export async function noDiskErrors(): Promise<void> {
  const lines = (await bash('dmesg')).split('\n');
  assert.deepEqual(
    lines.filter((line) => /I\/O error|Buffer I\/O|timed out/i.test(line)),
    [],
  );
}

/** Sees that a disk shows what is in the file that it is served from. */
export async function sameContent(disk: string, file: string): Promise<void> {
  await bash('echo 3 > /proc/sys/vm/drop_caches');
  const [ofDisk, ofFile] = await Promise.all(
    [disk, file].map(async (path) => (await sh(`md5sum ${path}`)).split(' ')[0]),
  );
  assert.equal(ofDisk, ofFile, `${file} is not what ${disk} shows`);
}
