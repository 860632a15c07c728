import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AttributeWriter } from '../../src/netlink/attribute.js';
import { NetlinkError, type NetlinkErrorDetails } from '../../src/netlink/error.js';
import type { GenlFamily, GenlOperation } from '../../src/netlink/genl-family.js';
import { Errno } from '../../src/sys/errno.js';
import type { DeviceSpec } from '../../src/vdpa/encode.js';
import { explainOlderKernel } from '../../src/vdpa/older-kernel.js';
import { explainRefusal } from '../../src/vdpa/refusal.js';
import { VDPA_CMD_DEV_ATTR_SET, VDPA_CMD_DEV_CONFIG_GET, VDPA_CMD_DEV_VSTATS_GET } from '../../src/vdpa/uapi.js';
import { TestMachine } from '../support/test-machine.js';

const refusal = (details: Partial<NetlinkErrorDetails>): NetlinkError =>
  new NetlinkError({ operation: 'add vdpa device foo0', errno: Errno.EINVAL, ...details });

const policy = (fill: (writer: AttributeWriter) => AttributeWriter): Uint8Array => fill(new AttributeWriter()).finish();

test('a kernel error names the argument and its valid values', async () => {
  const client = await new TestMachine().client();
  const add = (more: Partial<DeviceSpec>): Promise<void> =>
    client.addDevice({ name: 'foo0', managementDevice: 'vdpasim_net', ...more });
  await assert.rejects(add({ mtu: 10 }), {
    code: 'ERANGE',
    kernelMessage: 'integer out of range',
    hint: 'Invalid mtu "10": expected a number from 68 to 65535',
    attribute: { type: 13, nested: false, netByteOrder: false, payload: Uint8Array.of(10, 0) },
  });
  await assert.rejects(add({ mtu: 1500, mac: '02:00:00:00:00:01', features: 0n }), {
    hint: 'Add MTU,MAC to device_features',
  });
  await assert.rejects(add({ managementDevice: 'vdpasim_blk', maxVirtqueuePairs: 2, mtu: 1500 }), {
    hint: 'Not supported by the management device: max_vqp, mtu',
  });
});

test('each kind of error has its explanation', () => {
  for (const [details, sentence] of [
    [
      { kernelMessage: 'vdpa: Some provided attributes are not supported: 0x1000' },
      'Not supported by the management device: max_vqp',
    ],
    [
      { kernelMessage: 'vdpa: Some provided attributes are not supported: 0x8000000000101c00' },
      'Not supported by the management device: mac, DEV_NET_STATUS, max_vqp, device_features, ATTR_63',
    ],
    [{ kernelMessage: 'vdpa: Missing features 0x400020 for provided attributes' }, 'Add MAC,MQ to device_features'],
    [{ missingType: 17 }, 'Missing qidx'],
    [
      { kernelMessage: 'Unknown attribute type', attribute: { type: 20, payload: Uint8Array.of(1) } },
      'device_features is not supported by this kernel; a newer one may support it',
    ],
    [{ attribute: { type: 4, payload: Uint8Array.of(0x61, 0) } }, 'The kernel rejected name'],
    [
      {
        attribute: { type: 4, payload: Uint8Array.of(0x61, 0x62, 0) },
        policy: policy((writer) => writer.u32(1, 11).u32(7, 1)),
      },
      'Invalid name "ab": expected a length in bytes from 0 to 1',
    ],
    [
      {
        attribute: { type: 20, payload: new Uint8Array(8).fill(0xff) },
        policy: policy((writer) => writer.u32(1, 5).u64(12, 6n)),
      },
      'Invalid device_features "18446744073709551615": expected a number with no bits outside 0x6',
    ],
    [{ attribute: { type: 99, payload: Uint8Array.of(7) }, policy: policy((writer) => writer.u32(1, 1)) }, undefined],
    [{ errno: Errno.EPERM }, 'Run as root: this requires CAP_NET_ADMIN in the initial user namespace'],
    [{ errno: Errno.ENODEV, kernelMessage: 'vdpa: device not found' }, undefined],
  ] as const satisfies readonly (readonly [Partial<NetlinkErrorDetails>, string | undefined])[]) {
    assert.equal(explainRefusal(refusal(details)), sentence);
  }
});

test('an older kernel is detected by its description of the family', () => {
  const command = (number: number): GenlOperation => ({ command: number, flags: 0 });
  const family = (operations: readonly GenlOperation[], maxAttribute: number): GenlFamily => ({
    id: 30,
    name: 'vdpa',
    version: 1,
    headerSize: 0,
    maxAttribute,
    operations,
    multicastGroups: [],
  });
  // The families as described by Linux 6.1 and Linux 7.3.
  const older = family([1, 2, 3, 4, 5, 6, 7].map(command), 22);
  const newer = family([2, 3, 4, 5, 6, 7, 8].map(command), 37);
  const unsupported = refusal({ errno: Errno.EOPNOTSUPP });
  const changing = 'Changing a device is not supported by this kernel: Linux 6.12 has it';
  const blocks =
    'This kernel shows the configuration of network devices only: Linux 6.12 shows that of block devices too';
  for (const [error, number, described, sentence] of [
    [unsupported, VDPA_CMD_DEV_ATTR_SET, older, changing],
    [unsupported, VDPA_CMD_DEV_CONFIG_GET, older, blocks],
    [unsupported, VDPA_CMD_DEV_VSTATS_GET, older, undefined],
    [unsupported, VDPA_CMD_DEV_ATTR_SET, newer, undefined],
    [unsupported, VDPA_CMD_DEV_CONFIG_GET, newer, undefined],
    // The driver's own error, and a kernel that does not list its commands.
    [refusal({ errno: Errno.EOPNOTSUPP, kernelMessage: 'vdpa: no' }), VDPA_CMD_DEV_ATTR_SET, older, undefined],
    [refusal({ errno: Errno.ENODEV }), VDPA_CMD_DEV_ATTR_SET, older, undefined],
    [unsupported, VDPA_CMD_DEV_ATTR_SET, family([], 22), undefined],
  ] as const) {
    assert.equal(explainOlderKernel(error, number, described), sentence);
  }
});
