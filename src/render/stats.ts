import { VIRTIO_ID_NET } from '../virtio/ids.js';
import type { VendorStats } from '../vdpa/model.js';
import type { Printer } from './printer.js';
import { renderRows } from './rows.js';

const VIRTIO_NET_F_CTRL_VQ = 17n;

/** Prints the vendor statistics of one queue as `vdpa dev vstats show` does. */
export function renderVendorStats(printer: Printer, stats: VendorStats): void {
  printer.openRecord(stats.name);
  if (stats.deviceId === VIRTIO_ID_NET) renderQueue(printer, stats);
  printer.closeRecord();
}

/** Prints the vendor statistics of every queue of a device, a row a queue. */
export function renderDeviceStats(printer: Printer, name: string, queues: readonly VendorStats[]): void {
  renderRows(printer, name, queues, (stats) => {
    if (stats.queueIndex !== undefined) printer.number('qidx', stats.queueIndex, 'qidx ', ' ');
    renderQueue(printer, stats);
  });
}

function renderQueue(printer: Printer, stats: VendorStats): void {
  const type = queueType(stats);
  if (type !== undefined) printer.string('queue_type', type, 'queue_type ', ' ');
  for (const { name, value } of stats.counters) printer.number(name, value, `${name} `, ' ');
}

/**
 * What the queue of a network device is for: `rx`, `tx` or `control_vq`. virtio specification, section "Network Device",
 * "Virtqueues": pairs of rx and tx, the control queue behind them.
 */
export function queueType(stats: VendorStats): string | undefined {
  const { queueIndex: index, deviceId } = stats;
  if (index === undefined || deviceId !== VIRTIO_ID_NET) return undefined;
  const pairs = stats.maxVirtqueuePairs ?? 1;
  const hasControl = (((stats.negotiatedFeatures ?? 0n) >> VIRTIO_NET_F_CTRL_VQ) & 1n) === 1n;
  if (hasControl && index === 2 * pairs) return 'control_vq';
  return index % 2 === 1 ? 'tx' : 'rx';
}
