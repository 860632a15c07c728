/** Statistics for Prometheus, for the textfile collector of node_exporter. */
import { deviceTypeName } from '../virtio/classes.js';
import type { VdpaDevice } from '../vdpa/model.js';
import type { DeviceStats } from '../vdpa/stats.js';
import { Metrics } from './openmetrics.js';
import { queueType } from './stats.js';

/** The statistics of all devices, and a line of information for each. */
export function formatMetrics(devices: readonly VdpaDevice[], stats: readonly DeviceStats[]): string {
  const metrics = new Metrics();
  for (const { name, deviceId, managementDevice } of devices) {
    const labels = { dev: name, type: deviceTypeName(deviceId) ?? `${deviceId}`, mgmtdev: managementDevice };
    metrics.put('vdpa_device_info', 'gauge', 'A vDPA device, with its type and management device.', labels, 1n);
  }
  for (const { name: dev, queues } of stats) {
    for (const queue of queues) {
      for (const { name, value } of queue.counters) {
        const type = queueType(queue);
        const labels = {
          dev,
          ...(queue.queueIndex !== undefined && { qidx: `${queue.queueIndex}` }),
          ...(type !== undefined && { queue_type: type }),
          counter: name,
        };
        const help = 'A vendor-specific counter of a virtqueue.';
        metrics.put(`vdpa_queue_${metricName(name)}_total`, 'counter', help, labels, value);
      }
    }
  }
  return metrics.format();
}

/** The vendor's name in the characters allowed for a metric; the label `counter` has the full name. */
function metricName(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^_|_$/g, '')
    .replace(/_total$/, '');
}
