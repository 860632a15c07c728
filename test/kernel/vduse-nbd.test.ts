import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { noDiskErrors, sameContent } from '../support/kernel/drivers/disk-checks.js';
import { fio } from '../support/kernel/drivers/fio.js';
import { needs, testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { addDisk, newDiskFile, onNbdkit } from '../support/kernel/servers/nbdkit.js';
import { errorsOf, show } from '../support/kernel/servers/shown.js';
import { bash, mountPoint, sh } from '../support/kernel/servers/vduse.js';
import { newPath, ServerProcess, startNbdkit } from '../support/nbd-server.js';

const { describe, test } = testsWith(VDUSE, 'nbdkit', 'fio');

/** Everything that is written is read back and checked, and nothing fails. */
async function verify(name: string, disk: string, depth: number, mebibytes = 8): Promise<void> {
  const jobs = await fio(
    4,
    ...['--name=verify', `--filename=${disk}`, '--rw=randrw', '--bsrange=4k-256k', '--bs_unaligned=0'],
    ...['--blockalign=4k', '--verify=crc32c', '--verify_fatal=1', '--do_verify=1', '--serialize_overlap=1'],
    ...['--ioengine=libaio', '--direct=1', `--iodepth=${depth}`, '--offset_increment=16m', `--size=${mebibytes}m`],
  );
  for (const { read, write } of jobs) assert.ok(read.total_ios > 0 && write.total_ios > 0);
  await noDiskErrors();
  assert.equal(await errorsOf(name), 0);
}

const remove = (name: string): Promise<string> => sh(`/run/bin/vdpa dev del ${name}`);

describe('a disk on an NBD server: fio --verify', () => {
  for (const queues of [1, 4]) {
    for (const depth of [1, 8, 32]) {
      test(`${queues} queues, depth ${depth}: no error`, async (context) => {
        const { path, disk } = await onNbdkit(context, 'nbd0', 'queues', String(queues), 'threads', String(queues));
        assert.equal((await show('nbd0')).connections, queues);
        await verify('nbd0', disk, depth);
        await sameContent(disk, path);
        await remove('nbd0');
      });
    }
  }

  const filters: readonly [string, readonly string[], readonly string[], readonly string[]][] = [
    ['delay', ['--filter=delay'], ['rdelay=1ms', 'wdelay=1ms'], []],
    ['rate', ['--filter=rate'], ['rate=400M'], []],
    [
      'blocksize-policy',
      ['--filter=blocksize-policy'],
      ['blocksize-minimum=4096', 'blocksize-preferred=4096', 'blocksize-maximum=64K', 'blocksize-error-policy=error'],
      [],
    ],
    ['fua', ['--filter=fua'], ['fuamode=force'], ['cache', 'writethrough']],
    ['multi-conn', ['--filter=multi-conn'], ['multi-conn-mode=disable'], []],
  ];
  for (const [filter, options, parameters, words] of filters) {
    test(`through nbdkit's filter ${filter}, 4 queues, depth 32: no error`, async (context) => {
      const path = newDiskFile();
      const server = await startNbdkit(...options, 'file', path, ...parameters);
      context.after(() => server.kill());
      const disk = await addDisk(context, 'nbd0', server.uri, 'queues', '4', ...words);
      await verify('nbd0', disk, 32, 4);
      await sameContent(disk, path);
      await remove('nbd0');
    });
  }

  test('on qemu-nbd with qcow2 and TLS: no error', needs('qemu-nbd', 'qemu-img'), async (context) => {
    const path = newPath('qcow2');
    await sh(`qemu-img create -q -f qcow2 ${path} 64M`);
    const folder = newPath('keys');
    mkdirSync(folder);
    writeFileSync(`${folder}/keys.psk`, `alice:${'0123456789abcdef'.repeat(4)}\n`, { mode: 0o600 });
    const socket = newPath('socket');
    const server = new ServerProcess(socket, [
      ...['qemu-nbd', '-t', '-e', '16', '-k', socket, '-f', 'qcow2'],
      ...['--object', `tls-creds-psk,id=tls0,endpoint=server,dir=${folder}`, '--tls-creds', 'tls0', path],
    ]);
    await server.start();
    context.after(() => server.kill());
    const uri = `nbds+unix://alice@/?socket=${socket}&tls-psk-file=${folder}/keys.psk`;
    const disk = await addDisk(context, 'nbd0', uri, 'queues', '4');
    await verify('nbd0', disk, 16, 4);
    await remove('nbd0');
  });
});

describe('a disk on an NBD server', () => {
  test('mkfs, files, discard, fsck', async (context) => {
    const { disk } = await onNbdkit(context, 'nbd0');
    const folder = mountPoint('nbd0');
    await bash(`mkfs.ext4 -q ${disk}; mount ${disk} ${folder}
      dd if=/dev/urandom of=${folder}/file bs=1M count=20 status=none; cp ${folder}/file ${folder}/copy; sync
      echo 3 > /proc/sys/vm/drop_caches; cmp ${folder}/file ${folder}/copy
      rm ${folder}/copy; fstrim ${folder} || busybox fstrim ${folder}; umount ${folder}; e2fsck -fn ${disk}`);
    await noDiskErrors();
    assert.equal(await errorsOf('nbd0'), 0);
    await remove('nbd0');
  });

  test('read-only, as the export is', async (context) => {
    const path = newPath('disk');
    writeFileSync(path, Buffer.alloc(2 ** 20, 0x55));
    const server = await startNbdkit('--readonly', 'file', path);
    context.after(() => server.kill());
    const disk = await addDisk(context, 'nbd0', server.uri);
    assert.equal((await show('nbd0')).readonly, true);
    assert.equal(await sh(`blockdev --getro ${disk}`), '1\n');
    await sameContent(disk, path);
    await remove('nbd0');
  });
});
