/**
 * Statistics for Prometheus, for the textfile collector of node_exporter: the text format 0.0.4, with the end of
 * OpenMetrics. Counters are declared with the name of their samples (`…_total`), as promtool expects.
 */
import { deviceTypeName } from '../virtio/classes.js';
import type { VdpaDevice } from '../vdpa/model.js';
import type { DeviceStats } from '../vdpa/stats.js';
import { queueType } from './stats.js';

interface Family {
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly samples: string[];
}

/** The statistics of all devices, and a line of information for each. */
export function formatMetrics(devices: readonly VdpaDevice[], stats: readonly DeviceStats[]): string {
  const families = new Map<string, Family>();
  const put = (name: string, type: Family['type'], help: string, labels: Labels, value: bigint): void => {
    let family = families.get(name);
    if (!family) families.set(name, (family = { type, help, samples: [] }));
    family.samples.push(`${name}${formatLabels(labels)} ${value}`);
  };
  for (const { name, deviceId, managementDevice } of devices) {
    const labels = { dev: name, type: deviceTypeName(deviceId) ?? `${deviceId}`, mgmtdev: managementDevice };
    put('vdpa_device_info', 'gauge', 'A vDPA device, with its type and management device.', labels, 1n);
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
        put(`vdpa_queue_${metricName(name)}_total`, 'counter', help, labels, value);
      }
    }
  }
  const lines = Array.from(families, ([name, { type, help, samples }]) => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...samples,
  ]);
  return [...lines.flat(), '# EOF', ''].join('\n');
}

/** The vendor's name in the characters allowed for a metric; the label `counter` has the full name. */
function metricName(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^_|_$/g, '')
    .replace(/_total$/, '');
}

type Labels = Readonly<Record<string, string>>;

function formatLabels(labels: Labels): string {
  const escaped = (value: string): string =>
    value
      // Bytes that are not UTF-8, which the format requires.
      .replace(/[\ud800-\udfff]/gu, '\ufffd')
      .replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`));
  const words = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return `{${words.join(',')}}`;
}
