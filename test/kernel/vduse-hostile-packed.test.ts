/** A driver of packed queues that breaks rings, and the tests of hostile requests and changes again, with packed queues. */
import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT, VRING_DESC_F_WRITE } from '../../src/virtio/split-ring.js';
import type { PackedDescriptor } from '../../src/virtio/driver/packed-driver.js';
import { driver, form, isBroken, NOWHERE } from '../support/kernel/drivers/hostile-target.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { DATA, DRIVER_OK } from '../../src/vhost/driver.js';

const { describe, test } = testsWith(VDUSE);

form.packed = true;
// They set the device up, for this file too.
await import('./vduse-hostile-requests.test.js');
await import('./vduse-hostile-changes.test.js');

const descriptor = (id: number, flags: number): PackedDescriptor => ({ iova: DATA, length: 16, id, flags });

function offer(...descriptors: PackedDescriptor[]): void {
  const ring = driver.packedRing();
  ring.isHostile = true;
  ring.write(descriptors);
  driver.kick();
}

describe('a driver that breaks a packed ring', () => {
  test('buffer id out of range', async () => {
    offer(descriptor(64, 0));
    await isBroken(/buffer id 64 out of range in a queue of 64/);
  });

  test('the same buffer id twice', async () => {
    driver.packedRing().write([descriptor(7, 0)]);
    offer(descriptor(7, 0));
    await isBroken(/buffer id 7 is in flight already/);
  });

  test('chain without an end', async () => {
    offer(...Array.from({ length: 64 }, () => descriptor(0, VRING_DESC_F_NEXT)));
    await isBroken(/chain with a loop/);
  });

  test('indirect descriptor in a list', async () => {
    const table = { ...descriptor(0, VRING_DESC_F_INDIRECT), iova: driver.indirectTable() };
    offer(descriptor(0, VRING_DESC_F_NEXT), table);
    await isBroken(/indirect descriptor in a list/);
  });

  test('indirect descriptor with a next one', async () => {
    const flags = VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT;
    offer({ ...descriptor(0, flags), iova: driver.indirectTable() }, descriptor(0, 0));
    await isBroken(/with VIRTQ_DESC_F_NEXT/);
  });

  test('indirect inside indirect', async () => {
    const table = driver.indirectTable();
    driver.packedRing().tableEntry(0, descriptor(0, VRING_DESC_F_INDIRECT), table);
    offer({ ...descriptor(0, VRING_DESC_F_INDIRECT), iova: table });
    await isBroken(/nested indirect descriptor/);
  });

  for (const length of [0, 17, 65 * 16, 0xffff_fff0]) {
    test(`indirect table of ${length} bytes`, async () => {
      offer({ ...descriptor(0, VRING_DESC_F_INDIRECT), iova: driver.indirectTable(), length });
      await isBroken(new RegExp(`indirect table length: ${length} bytes`));
    });
  }

  test('indirect table in unmapped memory', async () => {
    offer({ ...descriptor(0, VRING_DESC_F_INDIRECT), iova: NOWHERE });
    await isBroken(/in unmapped memory/);
  });

  test('readable buffer after a writable one', async () => {
    offer(descriptor(0, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT), descriptor(0, 0));
    await isBroken(/device-readable buffer after/);
  });

  test('a state outside of the ring, or with chains in flight: not served', () => {
    for (const base of [64 | (64 << 16), 0x8001_8000, 0x8000_0000]) {
      driver.prepare();
      driver.vhost.setQueueBase(0, base >>> 0);
      driver.vhost.status = DRIVER_OK;
      offer(descriptor(0, 0));
      assert.equal(driver.used(0, 50), undefined);
      driver.checkService(11, 1);
    }
  });
});
