import '../lab/inside.js';
import assert from 'node:assert/strict';
import { bash, sh } from '../servers/vduse.js';

/** Checks that the kernel has reported no disk error. */
export async function noDiskErrors(): Promise<void> {
  const lines = (await bash('dmesg')).split('\n');
  assert.deepEqual(
    lines.filter((line) => /I\/O error|Buffer I\/O|timed out/i.test(line)),
    [],
  );
}

/** Checks that a disk has the same content as the file it is served from. */
export async function sameContent(disk: string, file: string): Promise<void> {
  await bash('echo 3 > /proc/sys/vm/drop_caches');
  const [ofDisk, ofFile] = await Promise.all(
    [disk, file].map(async (path) => (await sh(`md5sum ${path}`)).split(' ')[0]),
  );
  assert.equal(ofDisk, ofFile, `${file} differs from ${disk}`);
}
