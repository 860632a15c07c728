import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AttributeWriter } from '../../src/netlink/attribute.js';
import { NetlinkError, type NetlinkErrorDetails } from '../../src/netlink/error.js';
import { Errno } from '../../src/sys/errno.js';
import type { DeviceSpec } from '../../src/vdpa/encode.js';
import { explainRefusal } from '../../src/vdpa/refusal.js';
import { TestMachine } from '../support/test-machine.js';

const refusal = (details: Partial<NetlinkErrorDetails>): NetlinkError =>
  new NetlinkError({ operation: 'add vdpa device foo0', errno: Errno.EINVAL, ...details });

const policy = (fill: (writer: AttributeWriter) => AttributeWriter): Uint8Array => fill(new AttributeWriter()).finish();

test('a refusal of the kernel says which word it is about and what is taken there', async () => {
  const client = await new TestMachine().client();
  const add = (more: Partial<DeviceSpec>): Promise<void> =>
    client.addDevice({ name: 'foo0', managementDevice: { name: 'vdpasim_net' }, ...more });
  await assert.rejects(add({ mtu: 10 }), {
    code: 'ERANGE',
    kernelMessage: 'integer out of range',
    hint: '"10" is invalid mtu: a number from 68 to 65535 expected',
    attribute: { type: 13, nested: false, netByteOrder: false, payload: Uint8Array.of(10, 0) },
  });
  await assert.rejects(add({ mac: Uint8Array.of(2, 0) }), { hint: '"02:00" is invalid mac: 6 bytes expected' });
  await assert.rejects(add({ mtu: 1500, mac: Uint8Array.of(2, 0, 0, 0, 0, 1), features: 0n }), {
    hint: 'Add MTU,MAC to device_features',
  });
  await assert.rejects(add({ managementDevice: { name: 'vdpasim_blk' }, maxVirtqueuePairs: 2, mtu: 1500 }), {
    hint: 'The management device does not take max_vqp, mtu',
  });
});

test('each kind of refusal has its sentence', () => {
  for (const [details, sentence] of [
    [
      { kernelMessage: 'vdpa: Some provided attributes are not supported: 0x1000' },
      'The management device does not take max_vqp',
    ],
    [
      { kernelMessage: 'vdpa: Some provided attributes are not supported: 0x8000000000101c00' },
      'The management device does not take mac, DEV_NET_STATUS, max_vqp, device_features, ATTR_63',
    ],
    [{ kernelMessage: 'vdpa: Missing features 0x400020 for provided attributes' }, 'Add MAC,MQ to device_features'],
    [{ missingType: 17 }, 'The request lacks qidx'],
    [
      { kernelMessage: 'Unknown attribute type', attribute: { type: 20, payload: Uint8Array.of(1) } },
      'This kernel does not know device_features: a newer one may',
    ],
    [{ attribute: { type: 4, payload: Uint8Array.of(0x61, 0) } }, 'This is about name'],
    [
      {
        attribute: { type: 4, payload: Uint8Array.of(0x61, 0x62, 0) },
        policy: policy((writer) => writer.u32(1, 11).u32(7, 1)),
      },
      '"ab" is invalid name: a length in bytes from 0 to 1 expected',
    ],
    [
      {
        attribute: { type: 20, payload: new Uint8Array(8).fill(0xff) },
        policy: policy((writer) => writer.u32(1, 5).u64(12, 6n)),
      },
      '"18446744073709551615" is invalid device_features: a number with no bits but those of 0x6 expected',
    ],
    [{ attribute: { type: 99, payload: Uint8Array.of(7) }, policy: policy((writer) => writer.u32(1, 1)) }, undefined],
    [{ errno: Errno.EPERM }, 'Run it as root: it needs CAP_NET_ADMIN in the initial user namespace'],
    [{ errno: Errno.ENODEV, kernelMessage: 'vdpa: device not found' }, undefined],
  ] as const satisfies readonly (readonly [Partial<NetlinkErrorDetails>, string | undefined])[]) {
    assert.equal(explainRefusal(refusal(details)), sentence);
  }
});
