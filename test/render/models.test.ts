import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderDeviceConfig } from '../../src/render/config.js';
import { renderDevice } from '../../src/render/device.js';
import { renderManagementDevice } from '../../src/render/mgmtdev.js';
import { Output } from '../../src/render/output.js';
import type { Printer } from '../../src/render/printer.js';
import { renderVendorStats } from '../../src/render/stats.js';
import { TextPrinter } from '../../src/render/text.js';

function asText(draw: (printer: Printer) => void): string {
  let text = '';
  const printer = new TextPrinter(
    new Output((part) => {
      text += part;
    }),
  );
  draw(printer);
  printer.finish();
  return text;
}

test('a management device of several classes uses the feature names of net; a class unknown to iproute2 is shown', () => {
  const text = asText((printer) => {
    renderManagementDevice(printer, {
      handle: 'pci/0000:03:00.2',
      supportedClasses: (1n << 1n) | (1n << 2n) | (1n << 26n),
      maxVirtqueues: 0xffff_ffff,
      supportedFeatures: (1n << 3n) | (1n << 4n) | (1n << 32n) | (1n << 42n) | (1n << 63n),
    });
  });
  assert.equal(
    text,
    'pci/0000:03:00.2: \n  supported_classes net block < unknown class >\n  max_supported_vqs 4294967295\n' +
      '  dev_features MTU bit_4 VERSION_1 bit_42 SPEED_DUPLEX\n',
  );
});

test('a management device of one class names features as that class does', () => {
  const text = asText((printer) => {
    renderManagementDevice(printer, { handle: 'blk', supportedClasses: 1n << 2n, supportedFeatures: 1n << 9n });
  });
  assert.equal(text, 'blk: \n  supported_classes block\n  dev_features FLUSH\n');
});

test('a device of a type without a name', () => {
  const text = asText((printer) => {
    renderDevice(printer, { name: 'fs0', managementDevice: 'm', deviceId: 26 });
  });
  assert.equal(text, 'fs0: type <unknown type> mgmtdev m\n');
});

test('a network device configuration', () => {
  const text = asText((printer) => {
    renderDeviceConfig(printer, {
      kind: 'net',
      name: 'foo0',
      deviceId: 1,
      mac: '00:11:22:33:44:55',
      status: 3,
      maxVirtqueuePairs: 4,
      mtu: 9000,
      negotiatedFeatures: 1n << 5n,
    });
  });
  assert.equal(
    text,
    'foo0: mac 00:11:22:33:44:55 link up link_announce true max_vq_pairs 4 mtu 9000 \n  negotiated_features MAC\n',
  );
});

test('a block device configuration', () => {
  const text = asText((printer) => {
    renderDeviceConfig(printer, {
      kind: 'block',
      name: 'blk0',
      deviceId: 2,
      capacity: 0xffff_ffff_ffff_ffffn,
      blockSize: 512,
      discard: { maxSectors: 1, maxSegments: 2, sectorAlignment: 3 },
      readOnly: false,
      flush: true,
      negotiatedFeatures: 1n << 9n,
    });
  });
  assert.equal(
    text,
    'blk0: capacity 18446744073709551615 block_size 512 max_discard_sectors 1 max_discard_segments 2 ' +
      'discard_sector_alignment 3 read_only false flush true \n  negotiated_features FLUSH\n',
  );
});

test('queues are named by their index, with and without multiqueue', () => {
  const type = (queueIndex: number, maxVirtqueuePairs?: number): string =>
    asText((printer) => {
      renderVendorStats(printer, {
        name: 'foo0',
        deviceId: 1,
        negotiatedFeatures: 1n << 17n,
        queueIndex,
        counters: [{ name: '100%d', value: 0xffff_ffff_ffff_ffffn }],
        ...(maxVirtqueuePairs !== undefined && { maxVirtqueuePairs }),
      });
    });
  const line = (kind: string): string => `foo0: queue_type ${kind} 100%d 18446744073709551615 \n`;
  assert.deepEqual([type(0), type(1), type(2)], [line('rx'), line('tx'), line('control_vq')]);
  assert.deepEqual([type(2, 2), type(3, 2), type(4, 2)], [line('rx'), line('tx'), line('control_vq')]);
});
