import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { featureMask } from '../../src/virtio/feature-mask.js';
import { identityOfBlock, identityOfNet } from '../../src/sim/state/identity.js';
import { bareMachine, hex64 } from '../../src/sim/state/model.js';
import type { VduseInstanceState } from '../../src/sim/state/model.js';
import { toInstance } from '../../src/sim/state/vduse-instance.js';
import * as uapi from '../../src/vdpa/uapi.js';
import { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from '../../src/virtio/ids.js';
import type { BlockDeviceSpec, NetDeviceSpec } from '../../src/vduse/spec/device-spec.js';
import { ask } from '../support/exchange.js';
import { needs, SIMULATORS, testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { startResponder, toResponding } from '../support/kernel/servers/responder-process.js';
import { Twins } from '../support/kernel/lab/twins.js';
import { u64 } from '../support/netlink-requests.js';
import { VdpaRequests } from '../support/vdpa-requests.js';

const { after, before, describe, test } = testsWith(VDUSE);

const accessPlatform = featureMask(undefined, ['ACCESS_PLATFORM']);
const versionOne = featureMask(undefined, ['VERSION_1']);
const transport = featureMask(undefined, ['RING_INDIRECT_DESC', 'RING_EVENT_IDX', 'RING_RESET', 'SR_IOV', 'IN_ORDER']);
const allOfBlock = featureMask(VIRTIO_ID_BLOCK, ['SIZE_MAX', 'RO', 'DISCARD', 'WRITE_ZEROES', 'GEOMETRY', 'BARRIER']);
/** virtio's file system device. */
const VIRTIO_ID_FS = 26;

/** How an instance differs from one that our own server would create. */
type Twist = Partial<Omit<VduseInstanceState, 'name'>>;

const word = (deviceId: number, ...names: string[]): bigint => featureMask(deviceId, names);
const withFeatures = (instance: VduseInstanceState, more: bigint): VduseInstanceState => ({
  ...instance,
  features: hex64(BigInt(instance.features) | more),
});

/** Disks without sectors, so that nothing reads from them. */
const block = (name: string, options: Partial<BlockDeviceSpec> = {}, twist: Twist = {}): VduseInstanceState => ({
  ...toInstance(name, identityOfBlock({ name, type: 'block', size: 0, ...options }), 1),
  ...twist,
});
const net = (name: string, options: Partial<NetDeviceSpec> = {}, twist: Twist = {}): VduseInstanceState => ({
  ...toInstance(name, identityOfNet({ name, type: 'net', ...options }), 1),
  ...twist,
});

const instances: readonly VduseInstanceState[] = [
  block('plain-block'),
  withFeatures(
    block('wide-block', { queues: 4, queueSize: 128, blockSize: 4096, readonly: true }),
    allOfBlock | transport,
  ),
  block('legacy-block', {}, { features: hex64(accessPlatform | allOfBlock), vendor_id: 0x1af4 }),
  block('uneven-queues', {}, { vq_sizes: [64, 1024, 8] }),
  block('half-set-up', {}, { vq_sizes: [64, 0] }),
  block('no-queues', {}, { vq_sizes: [] }),
  block('file-system', {}, { device_id: VIRTIO_ID_FS, features: hex64(accessPlatform | versionOne) }),
  block('foo0'),
  ...['uevent', 'subsystem', 'dev', 'msg_timeout', 'bounce_size', 'vq0', 'vq1', 'driver', 'x'.repeat(255)].map((name) =>
    block(name),
  ),
  net('plain-net'),
  withFeatures(net('full-net', { mac: '02:00:00:00:00:01', mtu: 9000, backend: 'tap' }), transport),
  net('tiny-mtu', { mtu: 40 }),
  net('one-queue', {}, { vq_sizes: [256] }),
  withFeatures(net('multi-queue', { queues: 4 }), word(VIRTIO_ID_NET, 'MQ')),
  net('no-address', {}, { features: hex64(accessPlatform | versionOne | word(VIRTIO_ID_NET, 'STANDBY', 'CSUM')) }),
  withFeatures(net('announcing'), word(VIRTIO_ID_NET, 'GUEST_ANNOUNCE')),
  withFeatures(net('offloads'), word(VIRTIO_ID_NET, 'CSUM', 'GUEST_TSO4', 'MRG_RXBUF', 'GSO', 'RSC_EXT', 'STANDBY')),
];

describe('the simulated VDUSE answers like the one of this kernel, byte for byte', () => {
  let twins: Twins;
  let vdpa: VdpaRequests;
  let endResponder: () => Promise<void>;

  before(async () => {
    endResponder = await startResponder(instances.map(toResponding));
    twins = await Twins.start({ ...bareMachine, vduse: instances });
    vdpa = new VdpaRequests(twins.familyId);
  });

  after(() => endResponder());

  for (const { name } of instances) {
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

  test('a name that another device has', needs(...SIMULATORS), () => {
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

  test('a list that reaches a device whose configuration cannot be reported', () => {
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
