import { Errno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';
import { ACKNOWLEDGED, FEATURES_OK } from '../../vhost/driver.js';
import { VIRTIO_CONFIG_S_FEATURES_OK } from '../../virtio/status.js';
import { featureBits, featureName } from '../../virtio/features.js';
import { featureMask } from '../../virtio/feature-mask.js';
import type { Check } from '../check.js';
import { CheckFailure, expectEqual } from '../finding.js';
import type { CheckContext } from '../context.js';
import type { Target } from '../../vhost/target.js';

/** Which feature requires which others, one of them each: sections 5.1.3.1 and 5.2.3 of the specification. */
const dependencies: Readonly<Record<NonNullable<Target['type']>, readonly (readonly [string, readonly string[]])[]>> = {
  net: [
    ['GUEST_TSO4', ['GUEST_CSUM']],
    ['GUEST_TSO6', ['GUEST_CSUM']],
    ['GUEST_ECN', ['GUEST_TSO4', 'GUEST_TSO6']],
    ['GUEST_UFO', ['GUEST_CSUM']],
    ['GUEST_USO4', ['GUEST_CSUM']],
    ['GUEST_USO6', ['GUEST_CSUM']],
    ['HOST_TSO4', ['CSUM']],
    ['HOST_TSO6', ['CSUM']],
    ['HOST_ECN', ['HOST_TSO4', 'HOST_TSO6']],
    ['HOST_UFO', ['CSUM']],
    ['HOST_USO', ['CSUM']],
    ['CTRL_RX', ['CTRL_VQ']],
    ['CTRL_VLAN', ['CTRL_VQ']],
    ['GUEST_ANNOUNCE', ['CTRL_VQ']],
    ['MQ', ['CTRL_VQ']],
    ['CTRL_MAC_ADDR', ['CTRL_VQ']],
    ['NOTF_COAL', ['CTRL_VQ']],
    ['RSC_EXT', ['HOST_TSO4', 'HOST_TSO6']],
    ['RSS', ['CTRL_VQ']],
    ['VQ_NOTF_COAL', ['CTRL_VQ']],
    ['HASH_REPORT', ['CTRL_VQ']],
  ],
  block: [['CONFIG_WCE', ['FLUSH']]],
};

/** Whether the device takes features: the kernel refuses some, and others fail FEATURES_OK. */
function accepts({ vhost }: CheckContext, features: bigint): boolean {
  vhost.status = 0;
  vhost.status = ACKNOWLEDGED;
  try {
    vhost.setFeatures(features);
  } catch (error) {
    if (error instanceof SystemError && error.errno === Errno.EINVAL) return false;
    throw error;
  }
  vhost.status = FEATURES_OK;
  return (vhost.status & VIRTIO_CONFIG_S_FEATURES_OK) !== 0;
}

function names({ deviceId }: Target, features: bigint): string {
  return featureBits(features)
    .map((bit) => featureName(bit, deviceId) ?? `bit ${bit}`)
    .join(', ');
}

/** Feature bits. */
export const featureChecks: readonly Check[] = [
  {
    name: 'features-version-1',
    clause: '6.2',
    rule: 'A device offers VERSION_1.',
    covers: ['VERSION_1'],
    run: ({ target }) => {
      const offered = (target.features & featureMask(undefined, ['VERSION_1'])) !== 0n;
      expectEqual('read the features: VERSION_1 is offered', offered, true);
    },
  },
  {
    name: 'features-dependencies',
    clause: '2.2.2',
    rule: 'A device does not offer a feature that requires another one which it does not offer.',
    requires: { type: 'any known' },
    run: ({ target }) => {
      const { deviceId, features } = target;
      for (const [name, others] of target.type === undefined ? [] : dependencies[target.type]) {
        const isOffered = (features & featureMask(deviceId, [name])) !== 0n;
        if (!isOffered || (features & featureMask(deviceId, others)) !== 0n) continue;
        const sent = 'read the features';
        throw new CheckFailure({ sent, came: `${name} alone`, expected: `${others.join(' or ')} with it` });
      }
    },
  },
  {
    name: 'features-all',
    clause: '2.2.2',
    rule: 'A device accepts all the features that it offers.',
    covers: ['ACCESS_PLATFORM'],
    run: (context) => {
      const { target } = context;
      expectEqual(`accept ${names(target, target.features)}`, accepts(context, target.features), true);
    },
  },
  {
    name: 'features-subset',
    clause: '2.2.2',
    rule: 'A device accepts a valid subset of its features.',
    run: (context) => {
      const features = context.accepting([]);
      expectEqual(`accept only ${names(context.target, features)}`, accepts(context, features), true);
    },
  },
  {
    name: 'features-again',
    clause: '2.2.2',
    rule: 'A device accepts the same features again after a reset.',
    run: (context) => {
      const { features } = context.target;
      for (let round = 1; round <= 3; round++) {
        expectEqual(`accept all features, for the time ${round}`, accepts(context, features), true);
      }
    },
  },
  {
    name: 'features-not-offered',
    clause: '2.2.2',
    rule: 'A device does not set FEATURES_OK for features that it does not offer.',
    run: (context) => {
      const { features } = context.target;
      const missing = [28, 29, 34, 35, 40, 2, 11, 59].find((bit) => ((features >> BigInt(bit)) & 1n) === 0n) ?? 63;
      const sent = `accept all features and bit ${missing}, which is not offered; FEATURES_OK is set`;
      expectEqual(sent, accepts(context, features | (1n << BigInt(missing))), false);
    },
  },
  {
    name: 'features-fixed',
    clause: '2.2.1',
    rule: 'Features do not change after FEATURES_OK.',
    run: (context) => {
      const { vhost } = context;
      const features = context.accepting([]);
      if (!accepts(context, features)) return;
      try {
        vhost.setFeatures(context.target.features);
      } catch (error) {
        if (error instanceof SystemError && error.errno === Errno.EBUSY) return;
        throw error;
      }
      throw new CheckFailure({ sent: 'set features after FEATURES_OK', came: 'success', expected: 'EBUSY' });
    },
  },
];
