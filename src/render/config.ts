import type { BlockConfig, DeviceConfig, NetConfig } from '../vdpa/model.js';
import { renderFeatures } from './features.js';
import type { Printer } from './printer.js';

/** virtio specification, section "Network Device", field `status`. */
const VIRTIO_NET_S_LINK_UP = 1;
const VIRTIO_NET_S_ANNOUNCE = 2;

/** Prints a device's configuration as `vdpa dev config show` does. */
export function renderDeviceConfig(printer: Printer, config: DeviceConfig): void {
  printer.openRecord(config.name);
  switch (config.kind) {
    case 'net':
      renderNetConfig(printer, config);
      break;
    case 'block':
      renderBlockConfig(printer, config);
      break;
    case 'other':
      break;
  }
  if (config.kind !== 'other' && config.negotiatedFeatures !== undefined) {
    renderFeatures(printer, 'negotiated_features', config.negotiatedFeatures, config.deviceId);
  }
  printer.closeRecord();
}

function renderNetConfig(printer: Printer, config: NetConfig): void {
  if (config.mac !== undefined) printer.string('mac', config.mac, 'mac ', ' ');
  if (config.status !== undefined) {
    // The trailing blanks of these two keys are those of iproute2.
    printer.string('link ', config.status & VIRTIO_NET_S_LINK_UP ? 'up' : 'down', 'link ', ' ');
    printer.boolean('link_announce ', (config.status & VIRTIO_NET_S_ANNOUNCE) !== 0, 'link_announce ', ' ');
  }
  if (config.maxVirtqueuePairs !== undefined) {
    printer.number('max_vq_pairs', config.maxVirtqueuePairs, 'max_vq_pairs ', ' ');
  }
  if (config.mtu !== undefined) printer.number('mtu', config.mtu, 'mtu ', ' ');
}

function renderBlockConfig(printer: Printer, config: BlockConfig): void {
  const number = (key: string, value: number | bigint | undefined): void => {
    if (value !== undefined) printer.number(key, value, `${key} `, ' ');
  };
  const boolean = (key: string, value: boolean | undefined): void => {
    if (value !== undefined) printer.boolean(key, value, `${key} `, ' ');
  };
  number('capacity', config.capacity);
  number('block_size', config.blockSize);
  number('max_segment_size', config.maxSegmentSize);
  number('max_segments', config.maxSegments);
  number('queues', config.queues);
  number('physical_block_exp', config.topology?.physicalBlockExponent);
  number('alignment_offset', config.topology?.alignmentOffset);
  number('min_io_size', config.topology?.minIoSize);
  number('opt_io_size', config.topology?.optimalIoSize);
  number('max_discard_sectors', config.discard?.maxSectors);
  number('max_discard_segments', config.discard?.maxSegments);
  number('discard_sector_alignment', config.discard?.sectorAlignment);
  number('max_write_zeroes_sectors', config.writeZeroes?.maxSectors);
  number('max_write_zeroes_segments', config.writeZeroes?.maxSegments);
  boolean('read_only', config.readOnly);
  boolean('flush', config.flush);
}
