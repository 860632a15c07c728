import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import * as blk from '../../src/virtio/block.js';
import { VIRTIO_ID_BLOCK } from '../../src/virtio/ids.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { ServerProcess } from '../support/kernel/servers/server-process.js';
import { attach, detach, giveToVhost } from '../support/kernel/servers/vduse.js';
import { VhostBlock } from '../support/kernel/drivers/vhost-block.js';
import { BASE, MEMORY_BYTES } from '../../src/vhost/driver.js';

const { describe, test } = testsWith(VDUSE);

/** VIRTIO_F_VERSION_1 and VIRTIO_F_ACCESS_PLATFORM: cloud-hypervisor rejects devices without the second one. */
const NEEDED = (1n << 32n) | (1n << 33n);
/** VHOST_BACKEND_F_IOTLB_MSG_V2: the format of the messages that map memory. */
const MSG_V2 = 1n << 1n;
const QUEUES = 2;

describe('cloud-hypervisor opens a VDUSE disk through vhost-vdpa', () => {
  test('in its order: memory first, features without a status, one status for all, reset, migration', async (context) => {
    const server = await ServerProcess.start({ name: 'ch0', backend: { type: 'ram' }, queues: QUEUES });
    let user: VhostBlock | undefined;
    context.after(async () => {
      // The kernel does not delete a device whose node is open.
      user?.close();
      await detach('ch0');
      await server.stop();
    });
    await attach('ch0');
    const node = await giveToVhost('ch0');

    // The node is opened and queried; messages in format V2 are sent before that format is acknowledged.
    const driver = (user = new VhostBlock(node, { backendFeatures: 'later', queues: QUEUES }));
    const { vhost } = driver;
    assert.equal(vhost.deviceId(), VIRTIO_ID_BLOCK);
    const queueSize = vhost.largestQueue();
    assert.ok(queueSize >= 64, String(queueSize));
    assert.equal(vhost.features() & NEEDED, NEEDED);
    assert.equal(vhost.backendFeatures() & MSG_V2, MSG_V2);
    const { first, last } = vhost.iovaRange();
    // All of a guest's memory, at the guest's physical addresses.
    assert.equal(first, 0n);
    assert.ok(last >= 2n ** 46n, String(last));
    const size = vhost.configSize();
    const config = Buffer.from(vhost.config(0, size));
    assert.throws(() => vhost.config(0, size + 1));

    // A guest that starts, writes to its configuration, which changes nothing, and restarts with the same memory.
    for (let round = 0; round < 3; round++) {
      driver.startAtOnce({ queueSize, features: (offered) => offered });
      for (let queue = 0; queue < QUEUES; queue++) driver.checkService(round, queue);
      assert.equal(
        (await server.device('ch0')).features,
        vhost.features(),
        'the device runs with features other than those negotiated',
      );
      vhost.setConfig(0, new Uint8Array(size).fill(0xff));
      assert.deepEqual(Buffer.from(vhost.config(0, size)), config);
      driver.enableQueues(false);
      vhost.status = 0;
      assert.equal(vhost.status, 0);
    }

    // It migrates to another process: the device is suspended and the node closed, then reopened, and the configuration set.
    driver.startAtOnce();
    driver.checkService(9);
    vhost.suspend();
    driver.close();
    user = undefined;
    const next = (user = new VhostBlock(node, { backendFeatures: 'later', queues: QUEUES }));
    next.vhost.setConfig(0, config);
    next.startAtOnce();
    assert.equal(next.request(blk.VIRTIO_BLK_T_IN, 8, 4096), blk.VIRTIO_BLK_S_OK);
    assert.deepEqual(
      next.data(4096),
      Uint8Array.from({ length: 4096 }, (_, index) => (index * 7 + 9) & 0xff),
    );
    next.checkService(10, 1);
    next.vhost.unmap(BASE, MEMORY_BYTES);
    assert.equal(server.ended, undefined);
  });
});
