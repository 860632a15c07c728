import { VIRTIO_ID_NET } from '../virtio/ids.js';
import type { VendorStats } from '../vdpa/model.js';
import type { DeviceStats } from '../vdpa/stats.js';
import { renderRows, type Printer } from './printer.js';

const VIRTIO_NET_F_CTRL_VQ = 17n;

/** Prints the vendor statistics of one queue as `vdpa dev vstats show` does. */
export function renderVendorStats(printer: Printer, stats: VendorStats): void {
  printer.openRecord(stats.name);
  if (stats.deviceId === VIRTIO_ID_NET) renderQueue(printer, stats);
  printer.closeRecord();
}

/**
 * Prints the vendor statistics of every queue of a device, one row per queue in order; for a queue with an error, the
 * name of the error number instead of counters.
 */
export function renderDeviceStats(printer: Printer, { name, queues, refused }: DeviceStats): void {
  const rows = [...queues, ...refused].sort((one, other) => (one.queueIndex ?? 0) - (other.queueIndex ?? 0));
  renderRows(printer, name, rows, (row) => {
    if (row.queueIndex !== undefined) printer.number('qidx', row.queueIndex, 'qidx ', ' ');
    if ('error' in row) printer.string('error', row.error.code, 'error ', ' ');
    else renderQueue(printer, row);
  });
}

function renderQueue(printer: Printer, stats: VendorStats): void {
  const type = queueType(stats);
  if (type !== undefined) printer.string('queue_type', type, 'queue_type ', ' ');
  for (const { name, value } of stats.counters) printer.number(name, value, `${name} `, ' ');
}

/**
 * The type of a queue of a network device: `rx`, `tx` or `control_vq`. virtio specification, section "Network Device",
 * "Virtqueues": pairs of rx and tx, followed by the control queue.
 */
export function queueType(stats: VendorStats): string | undefined {
  const { queueIndex: index, deviceId } = stats;
  if (index === undefined || deviceId !== VIRTIO_ID_NET) return undefined;
  const pairs = stats.maxVirtqueuePairs ?? 1;
  const hasControl = (((stats.negotiatedFeatures ?? 0n) >> VIRTIO_NET_F_CTRL_VQ) & 1n) === 1n;
  if (hasControl && index === 2 * pairs) return 'control_vq';
  return index % 2 === 1 ? 'tx' : 'rx';
}
