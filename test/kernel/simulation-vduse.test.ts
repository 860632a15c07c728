import '../support/kernel/inside.js';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { featureMask } from '../../src/sim/feature-mask.js';
import { defaultMachine } from '../../src/sim/state.js';
import { blockOffer, netOffer, toInstance } from '../../src/sim/vduse-instance.js';
import type { VduseOffer } from '../../src/sim/vduse-instance.js';
import * as uapi from '../../src/vdpa/uapi.js';
import { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from '../../src/virtio/ids.js';
import { ask } from '../support/exchange.js';
import { Twins } from '../support/kernel/twins.js';
import type { RespondingInstance } from '../support/kernel/vduse-responder.js';
import { u64 } from '../support/netlink-requests.js';
import { VdpaRequests } from '../support/scenarios.js';

const accessPlatform = featureMask(undefined, ['ACCESS_PLATFORM']);
const versionOne = featureMask(undefined, ['VERSION_1']);
const transport = featureMask(undefined, ['RING_INDIRECT_DESC', 'RING_EVENT_IDX', 'RING_RESET', 'SR_IOV', 'IN_ORDER']);
const allOfBlock = featureMask(VIRTIO_ID_BLOCK, ['SIZE_MAX', 'RO', 'DISCARD', 'WRITE_ZEROES', 'GEOMETRY', 'BARRIER']);
/** virtio's file system device. */
const VIRTIO_ID_FS = 26;

/** Disks without sectors, so that nobody reads from them. */
const emptyBlock = (name: string, options: Parameters<typeof blockOffer>[1] = {}): VduseOffer =>
  blockOffer(name, { capacity: 0n, ...options }, false);

const offers: readonly VduseOffer[] = [
  emptyBlock('plain-block'),
  emptyBlock('wide-block', {
    queues: 4,
    queueSize: 128,
    blockSize: 4096,
    vendorId: 0x1af4,
    features: allOfBlock | transport,
  }),
  { ...emptyBlock('legacy-block'), features: accessPlatform | allOfBlock },
  { ...emptyBlock('short-config'), config: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0) },
  { ...emptyBlock('uneven-queues'), queueSizes: [64, 1024, 8] },
  { ...emptyBlock('half-set-up'), queueSizes: [64, 0] },
  { ...emptyBlock('no-queues'), queueSizes: [] },
  { ...emptyBlock('file-system'), deviceId: VIRTIO_ID_FS, features: accessPlatform | versionOne },
  emptyBlock('foo0'),
  ...['power', 'uevent', 'subsystem', 'msg_timeout', 'bounce_size', 'vq0', 'vq1', 'driver', 'x'.repeat(255)].map(
    (name) => emptyBlock(name),
  ),
  netOffer('plain-net', {}, false),
  netOffer('full-net', { mac: Uint8Array.of(2, 0, 0, 0, 0, 1), mtu: 9000, features: transport }, false),
  netOffer('tiny-mtu', { mtu: 40 }, false),
  netOffer('one-queue', { queues: 1 }, false),
  netOffer('multi-queue', { queues: 4, features: featureMask(VIRTIO_ID_NET, ['MQ']) }, false),
  netOffer('standby', { features: featureMask(VIRTIO_ID_NET, ['STANDBY', 'CSUM', 'GUEST_ANNOUNCE']) }, false),
  netOffer(
    'offloads',
    { features: featureMask(VIRTIO_ID_NET, ['CSUM', 'GUEST_TSO4', 'MRG_RXBUF', 'GSO', 'RSC_EXT']) },
    false,
  ),
];

describe('the simulated VDUSE answers as this one, byte for byte', () => {
  let twins: Twins;
  let vdpa: VdpaRequests;
  let server: ChildProcessByStdio<Writable, Readable, null>;

  before(async () => {
    const responder = new URL('../support/kernel/vduse-responder.js', import.meta.url).pathname;
    const list = JSON.stringify(offers.map(toResponding));
    server = spawn(process.execPath, [responder, list], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(server.stdout, 'data');
    twins = await Twins.start({ ...defaultMachine, vduse: offers.map(toInstance) });
    vdpa = new VdpaRequests(twins.familyId);
  });

  after(async () => {
    server.stdin.end();
    const [status] = (await once(server, 'exit')) as [number | null];
    assert.equal(status, 0);
  });

  for (const { name } of offers) {
    test(`a device ${name.slice(0, 20)}`, () => {
      const pair = twins.open();
      const answers = pair.exchange(
        [
          ...ask(vdpa.add(name, 'vduse', u64(uapi.VDPA_ATTR_DEV_FEATURES, 0n))),
          ...ask(vdpa.add(name, 'vduse')),
          ...ask(vdpa.add(name, 'vduse')),
          ...ask(vdpa.about(uapi.VDPA_CMD_DEV_GET, name)),
          ...ask(vdpa.about(uapi.VDPA_CMD_DEV_CONFIG_GET, name)),
          ...ask(vdpa.dump(uapi.VDPA_CMD_DEV_CONFIG_GET)),
          ...ask(vdpa.stats(name, 0)),
          ...ask(vdpa.about(uapi.VDPA_CMD_DEV_ATTR_SET, name)),
          ...ask(vdpa.remove(name)),
          ...ask(vdpa.remove(name)),
        ],
        name,
      );
      assert.ok(answers.length >= 8);
      pair.close();
    });
  }

  test('a name that another device has', () => {
    const pair = twins.open();
    const steps = [
      ...ask(vdpa.add('foo0', 'vdpasim_net')),
      ...ask(vdpa.add('foo0', 'vduse')),
      ...ask(vdpa.remove('foo0')),
      ...ask(vdpa.add('foo0', 'vduse')),
      ...ask(vdpa.add('foo0', 'vdpasim_net')),
      ...ask(vdpa.remove('foo0')),
    ];
    pair.exchange(steps, 'foo0 twice');
    pair.close();
  });

  test('a list that comes to a device of which nothing can be told', () => {
    const pair = twins.open();
    const steps = [
      ...ask(vdpa.add('plain-net', 'vduse')),
      ...ask(vdpa.add('file-system', 'vduse')),
      ...ask(vdpa.add('full-net', 'vduse')),
      ...ask(vdpa.dump(uapi.VDPA_CMD_DEV_GET)),
      ...ask(vdpa.dump(uapi.VDPA_CMD_DEV_CONFIG_GET)),
      ...['plain-net', 'file-system', 'full-net'].flatMap((name) => ask(vdpa.remove(name))),
    ];
    pair.exchange(steps, 'a file system between network devices');
    pair.close();
  });
});

function toResponding(offer: VduseOffer): RespondingInstance {
  const { name, deviceId, vendorId, features, queueSizes, config } = offer;
  return {
    name,
    deviceId,
    vendorId,
    features: String(features),
    queueSizes,
    config: Buffer.from(config).toString('hex'),
  };
}
