import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AttributeList, AttributeWriter } from '../../src/netlink/attribute.js';
import { NetlinkProtocolError } from '../../src/netlink/error.js';
import { decodeDevice, decodeDeviceConfig, decodeManagementDevice, decodeVendorStats } from '../../src/vdpa/decode.js';
import { encodeRequest } from '../../src/vdpa/encode.js';
import * as uapi from '../../src/vdpa/uapi.js';

function attributes(write: (writer: AttributeWriter) => void): AttributeList {
  const writer = new AttributeWriter();
  write(writer);
  return AttributeList.parse(writer.finish());
}

test('a request without a name asks for all, and has no attributes', () => {
  for (const kind of ['mgmtdev.get', 'dev.get', 'dev.config.get'] as const) {
    const { dump, attributes: bytes } = encodeRequest({ kind });
    assert.equal(dump, true);
    assert.equal(bytes.length, 0);
  }
});

test('a new device has its attributes in the order of iproute2, and only the given ones', () => {
  const managementDevice = 'pci/0000:03:00.2';
  const bare = encodeRequest({ kind: 'dev.new', spec: { name: 'foo0', managementDevice: 'vduse' } });
  assert.equal(bare.command, uapi.VDPA_CMD_DEV_NEW);
  assert.deepEqual(
    [...AttributeList.parse(bare.attributes)].map(({ type }) => type),
    [uapi.VDPA_ATTR_MGMTDEV_DEV_NAME, uapi.VDPA_ATTR_DEV_NAME],
  );
  const full = encodeRequest({
    kind: 'dev.new',
    spec: {
      name: 'foo0',
      managementDevice,
      mac: '01:02:03:04:05:06',
      mtu: 9000,
      maxVirtqueuePairs: 4,
      features: 1n << 63n,
    },
  });
  const list = AttributeList.parse(full.attributes);
  assert.deepEqual(
    [...list].map(({ type }) => type),
    [
      uapi.VDPA_ATTR_MGMTDEV_BUS_NAME,
      uapi.VDPA_ATTR_MGMTDEV_DEV_NAME,
      uapi.VDPA_ATTR_DEV_NAME,
      uapi.VDPA_ATTR_DEV_NET_CFG_MACADDR,
      uapi.VDPA_ATTR_DEV_NET_CFG_MTU,
      uapi.VDPA_ATTR_DEV_NET_CFG_MAX_VQP,
      uapi.VDPA_ATTR_DEV_FEATURES,
    ],
  );
  assert.equal(list.string(uapi.VDPA_ATTR_MGMTDEV_BUS_NAME), 'pci');
  assert.equal(list.u16(uapi.VDPA_ATTR_DEV_NET_CFG_MTU), 9000);
  assert.equal(list.u64(uapi.VDPA_ATTR_DEV_FEATURES), 1n << 63n);
});

test('the other requests', () => {
  const del = encodeRequest({ kind: 'dev.del', name: 'foo0' });
  assert.deepEqual([del.command, del.dump], [uapi.VDPA_CMD_DEV_DEL, false]);
  const stats = encodeRequest({ kind: 'dev.vstats.get', name: 'foo0', queueIndex: 7 });
  assert.equal(stats.command, uapi.VDPA_CMD_DEV_VSTATS_GET);
  assert.equal(AttributeList.parse(stats.attributes).u32(uapi.VDPA_ATTR_DEV_QUEUE_INDEX), 7);
  const set = encodeRequest({ kind: 'dev.attr.set', name: 'foo0', change: { mac: '00:01:02:03:04:05' } });
  assert.equal(set.command, uapi.VDPA_CMD_DEV_ATTR_SET);
  assert.deepEqual(
    AttributeList.parse(set.attributes).bytes(uapi.VDPA_ATTR_DEV_NET_CFG_MACADDR),
    Uint8Array.of(0, 1, 2, 3, 4, 5),
  );
});

test('a management device with everything, and with only its name', () => {
  assert.deepEqual(decodeManagementDevice(attributes((w) => w.string(uapi.VDPA_ATTR_MGMTDEV_DEV_NAME, 'vduse'))), {
    handle: 'vduse',
  });
  assert.deepEqual(
    decodeManagementDevice(
      attributes((w) =>
        w
          .string(uapi.VDPA_ATTR_MGMTDEV_BUS_NAME, 'pci')
          .string(uapi.VDPA_ATTR_MGMTDEV_DEV_NAME, '0000:03:00.2')
          .u64(uapi.VDPA_ATTR_MGMTDEV_SUPPORTED_CLASSES, 2n)
          .u32(uapi.VDPA_ATTR_DEV_MGMTDEV_MAX_VQS, 0xffff_ffff)
          .u64(uapi.VDPA_ATTR_DEV_SUPPORTED_FEATURES, 0xffff_ffff_ffff_ffffn)
          .u8(99, 1),
      ),
    ),
    {
      handle: 'pci/0000:03:00.2',
      supportedClasses: 2n,
      maxVirtqueues: 0xffff_ffff,
      supportedFeatures: 0xffff_ffff_ffff_ffffn,
    },
  );
});

test('the features that a network device offers are also read from Linux 6.1', () => {
  const features = (type: number, more = uapi.VDPA_ATTR_DEV_NEGOTIATED_FEATURES): bigint | undefined =>
    decodeDeviceConfig(
      attributes((w) =>
        w
          .string(uapi.VDPA_ATTR_DEV_NAME, 'foo0')
          .u32(uapi.VDPA_ATTR_DEV_ID, 1)
          .u64(more, 1n)
          .u64(type, 1n << 32n),
      ),
    ).deviceFeatures;
  assert.equal(features(uapi.VDPA_ATTR_VDPA_DEV_SUPPORTED_FEATURES), 1n << 32n);
  assert.equal(features(uapi.VDPA_ATTR_DEV_FEATURES), 1n << 32n);
  // A kernel that had both attributes would use the newer one for the device's own features.
  assert.equal(features(uapi.VDPA_ATTR_DEV_FEATURES, uapi.VDPA_ATTR_VDPA_DEV_SUPPORTED_FEATURES), 1n << 32n);
});

test('a block device configuration has the features that the device offers', () => {
  const config = decodeDeviceConfig(
    attributes((w) =>
      w
        .string(uapi.VDPA_ATTR_DEV_NAME, 'blk0')
        .u32(uapi.VDPA_ATTR_DEV_ID, 2)
        .u64(uapi.VDPA_ATTR_DEV_FEATURES, 1n << 9n)
        .u64(uapi.VDPA_ATTR_DEV_BLK_CFG_CAPACITY, 1n << 40n)
        .u32(uapi.VDPA_ATTR_DEV_BLK_CFG_SIZE_MAX, 4096)
        .u32(uapi.VDPA_ATTR_DEV_BLK_CFG_BLK_SIZE, 512)
        .u32(uapi.VDPA_ATTR_DEV_BLK_CFG_SEG_MAX, 126)
        .u16(uapi.VDPA_ATTR_DEV_BLK_CFG_NUM_QUEUES, 4)
        .u8(uapi.VDPA_ATTR_DEV_BLK_CFG_PHY_BLK_EXP, 3)
        .u8(uapi.VDPA_ATTR_DEV_BLK_CFG_ALIGN_OFFSET, 1)
        .u16(uapi.VDPA_ATTR_DEV_BLK_CFG_MIN_IO_SIZE, 8)
        .u32(uapi.VDPA_ATTR_DEV_BLK_CFG_OPT_IO_SIZE, 64)
        .u32(uapi.VDPA_ATTR_DEV_BLK_CFG_MAX_DISCARD_SEC, 10)
        .u32(uapi.VDPA_ATTR_DEV_BLK_CFG_MAX_DISCARD_SEG, 11)
        .u32(uapi.VDPA_ATTR_DEV_BLK_CFG_DISCARD_SEC_ALIGN, 12)
        .u32(uapi.VDPA_ATTR_DEV_BLK_CFG_MAX_WRITE_ZEROES_SEC, 13)
        .u32(uapi.VDPA_ATTR_DEV_BLK_CFG_MAX_WRITE_ZEROES_SEG, 14)
        .u8(uapi.VDPA_ATTR_DEV_BLK_READ_ONLY, 1)
        .u8(uapi.VDPA_ATTR_DEV_BLK_FLUSH, 0),
    ),
  );
  assert.deepEqual(config, {
    kind: 'block',
    name: 'blk0',
    deviceId: 2,
    deviceFeatures: 1n << 9n,
    capacity: 1n << 40n,
    maxSegmentSize: 4096,
    blockSize: 512,
    maxSegments: 126,
    queues: 4,
    topology: { physicalBlockExponent: 3, alignmentOffset: 1, minIoSize: 8, optimalIoSize: 64 },
    discard: { maxSectors: 10, maxSegments: 11, sectorAlignment: 12 },
    writeZeroes: { maxSectors: 13, maxSegments: 14 },
    readOnly: true,
    flush: false,
  });
});

test('a network device configuration, and one of a class that the kernel does not report', () => {
  const base = (id: number) => (w: AttributeWriter) =>
    w.string(uapi.VDPA_ATTR_DEV_NAME, 'd').u32(uapi.VDPA_ATTR_DEV_ID, id);
  assert.deepEqual(
    decodeDeviceConfig(
      attributes((w) =>
        base(1)(w)
          .bytes(uapi.VDPA_ATTR_DEV_NET_CFG_MACADDR, Uint8Array.of(1, 2, 3, 4, 5, 6))
          .u16(uapi.VDPA_ATTR_DEV_NET_STATUS, 1)
          .u16(uapi.VDPA_ATTR_DEV_NET_CFG_MTU, 1500),
      ),
    ),
    { kind: 'net', name: 'd', deviceId: 1, mac: '01:02:03:04:05:06', status: 1, mtu: 1500 },
  );
  assert.deepEqual(decodeDeviceConfig(attributes(base(26))), { kind: 'other', name: 'd', deviceId: 26 });
});

test('counters keep their order, and repeated names', () => {
  const stats = decodeVendorStats(
    attributes((w) =>
      w
        .string(uapi.VDPA_ATTR_DEV_NAME, 'd')
        .u32(uapi.VDPA_ATTR_DEV_ID, 1)
        .u32(uapi.VDPA_ATTR_DEV_QUEUE_INDEX, 1)
        .string(uapi.VDPA_ATTR_DEV_VENDOR_ATTR_NAME, 'tx packets')
        .u64(uapi.VDPA_ATTR_DEV_VENDOR_ATTR_VALUE, 5n)
        .bytes(uapi.VDPA_ATTR_PAD, new Uint8Array())
        .string(uapi.VDPA_ATTR_DEV_VENDOR_ATTR_NAME, 'tx packets', { nul: false })
        .u64(uapi.VDPA_ATTR_DEV_VENDOR_ATTR_VALUE, (1n << 64n) - 1n),
    ),
  );
  assert.deepEqual(stats.counters, [
    { name: 'tx packets', value: 5n },
    { name: 'tx packets', value: (1n << 64n) - 1n },
  ]);
});

test('an incomplete answer is rejected', () => {
  const nothing = attributes(() => undefined);
  for (const decode of [decodeManagementDevice, decodeDevice, decodeDeviceConfig, decodeVendorStats]) {
    assert.throws(() => decode(nothing), NetlinkProtocolError);
  }
  const value = (w: AttributeWriter): AttributeWriter => w.u64(uapi.VDPA_ATTR_DEV_VENDOR_ATTR_VALUE, 1n);
  const device = (w: AttributeWriter): AttributeWriter =>
    w.string(uapi.VDPA_ATTR_DEV_NAME, 'd').u32(uapi.VDPA_ATTR_DEV_ID, 1);
  assert.throws(() => decodeVendorStats(attributes((w) => value(device(w)))), NetlinkProtocolError);
});

test('whatever attributes the kernel sends, decoding returns a model or reports what is wrong', () => {
  const attribute = fc.record({ type: fc.integer({ min: 0, max: 40 }), payload: fc.uint8Array({ maxLength: 12 }) });
  fc.assert(
    fc.property(fc.array(attribute, { maxLength: 12 }), (list) => {
      const parsed = attributes((w) => {
        w.string(uapi.VDPA_ATTR_MGMTDEV_DEV_NAME, 'm')
          .string(uapi.VDPA_ATTR_DEV_NAME, 'd')
          .u32(uapi.VDPA_ATTR_DEV_ID, 1);
        for (const { type, payload } of list) w.bytes(type, payload);
      });
      for (const decode of [decodeManagementDevice, decodeDevice, decodeDeviceConfig, decodeVendorStats]) {
        try {
          decode(parsed);
        } catch (error) {
          assert.ok(error instanceof NetlinkProtocolError, String(error));
        }
      }
    }),
    { numRuns: 2000 },
  );
});
