import '../../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { VdpaBus } from '../../../src/sysfs/bus.js';
import { json, output, vdpa } from '../../support/command-line.js';
import {
  bootSector,
  COPIED,
  COPIED_BYTES,
  EXIT_DEVICE,
  READ_FROM,
  SECTOR,
  WRITTEN_TO,
} from '../../support/kernel/drivers/boot-sector.js';
import { nothingLeft } from '../../support/kernel/lab/leftovers.js';
import { testsWith, VDUSE } from '../../support/kernel/lab/needs.js';
import { type Ran, start } from '../../support/kernel/servers/vduse.js';

const QEMU = 'qemu-system-x86_64';
const { describe, test } = testsWith(VDUSE, QEMU);

const PATH = '/tmp/guest.img';
const MEMORY_MIB = 64;
/** QEMU in QEMU takes seconds for what a processor does in milliseconds, and the processors may be busy. */
const LIMIT_S = '600';

/** A virtual machine that boots from a vhost-vdpa node. */
const boot = (node: string, memory: string): Promise<Ran> =>
  start(
    ...(['timeout', LIMIT_S, QEMU, '-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'] as const),
    ...['-machine', 'pc,usb=off,memory-backend=memory', '-accel', 'tcg', '-m', String(MEMORY_MIB)],
    ...['-object', `${memory},id=memory,size=${MEMORY_MIB}M`],
    ...['-device', `vhost-vdpa-device-pci,vhostdev=${node}`, '-device', EXIT_DEVICE],
  );

/** A disk that a guest boots from: its first sector, and bytes that it cannot guess. */
function makeDisk(): Buffer {
  const disk = Buffer.concat([bootSector(), randomBytes(2 * 2 ** 20 - SECTOR)]);
  writeFileSync(PATH, disk);
  return disk;
}

/** What is on it once the guest has done all its reads and writes. */
function expected(before: Buffer): Buffer {
  const after = Buffer.from(before);
  for (let at = 0; at < COPIED_BYTES; at++) after[WRITTEN_TO + at] = 0xff ^ (before[READ_FROM + at] ?? 0);
  return after;
}

const vhostNode = (name: string): string => `/dev/${new VdpaBus().device(name)?.vhost ?? assert.fail('no node')}`;

interface Shown {
  readonly vduse: Record<string, { readonly queue: readonly { readonly errors: number }[] }>;
}

describe('a guest of QEMU, with a VDUSE disk through vhost-vdpa', () => {
  const cases = [
    {
      memory: 'shared memory',
      object: 'memory-backend-memfd,share=on',
      lines: ['dev add mgmtdev vduse name disk0 path /tmp/guest.img', 'dev bind disk0 driver vhost'],
    },
    {
      memory: 'huge pages',
      object: 'memory-backend-memfd,share=on,hugetlb=on,hugetlbsize=2M',
      lines: ['dev add mgmtdev vduse name disk0 path /tmp/guest.img driver vhost'],
    },
  ];
  for (const { memory, object, lines } of cases) {
    test(`boots, reads and writes, with memory in ${memory}`, async (context) => {
      if (object.includes('hugetlb')) writeFileSync('/proc/sys/vm/nr_hugepages', String(MEMORY_MIB / 2));
      const disk = makeDisk();
      context.after(() => vdpa('vduse del disk0'));
      for (const line of lines) await output(line);
      const ran = await boot(vhostNode('disk0'), object);
      assert.equal(ran.status, COPIED, `${ran.stdout}${ran.stderr}`);
      assert.ok(readFileSync(PATH).equals(expected(disk)), 'the file holds something else');
      const shown = ((await json('vduse show disk0')) as Shown).vduse['disk0'];
      assert.equal(shown?.queue[0]?.errors, 0);
      await output('dev del disk0');
      nothingLeft();
    });
  }
});
