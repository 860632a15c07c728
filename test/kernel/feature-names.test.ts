/** Features of network devices that this tool names and iproute2 numbers, negotiated on a kernel. */
import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { identityOfNet } from '../../src/sim/state/identity.js';
import { toInstance } from '../../src/sim/state/vduse-instance.js';
import { featureBit } from '../../src/virtio/features.js';
import { VIRTIO_ID_NET } from '../../src/virtio/ids.js';
import { ours, reference } from '../support/kernel/lab/compare.js';
import { featureNames } from '../support/kernel/lab/feature-names.js';
import { needs, testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { startResponder, toResponding } from '../support/kernel/servers/responder-process.js';
import { VhostDriver } from '../../src/vhost/driver.js';
import { attach, detach, giveToVhost } from '../support/kernel/servers/vduse.js';

const { test } = testsWith(VDUSE);

test(
  'features of a network device have names here, and numbers in iproute2',
  needs('vdpa-iproute2'),
  async (context) => {
    const names = featureNames.get('net') ?? assert.fail();
    const [theirs, own] = [[...names.keys()], [...names.values()]];
    const bits = own.map((name) => featureBit(name, VIRTIO_ID_NET) ?? assert.fail(name));
    assert.deepEqual(
      bits.toSorted((one, other) => one - other).map((bit) => `bit_${bit}`),
      theirs,
    );
    const instance = toResponding(toInstance('names0', identityOfNet({ name: 'names0', type: 'net' }), 1));
    const features = bits.reduce((mask, bit) => mask | (1n << BigInt(bit)), BigInt(instance.features));
    const end = await startResponder([{ ...instance, features: `0x${features.toString(16)}` }]);
    await attach('names0');
    const driver = new VhostDriver(await giveToVhost('names0'), { queues: 2 });
    context.after(async () => {
      driver.close();
      await detach('names0');
      await end();
    });
    driver.start();
    const argv = ['dev', 'config', 'show', 'names0'];
    const negotiated = (text: string): string[] => /negotiated_features (.*)/.exec(text)?.[1]?.trim().split(' ') ?? [];
    const [shownThere, shownHere] = [negotiated(reference(argv).stdout), negotiated((await ours(argv)).stdout)];
    assert.deepEqual(
      shownThere.filter((name) => name.startsWith('bit_')),
      theirs,
    );
    assert.deepEqual(shownHere.filter((name) => !shownThere.includes(name)).toSorted(), own.toSorted());
  },
);
