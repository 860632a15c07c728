/** Collects vendor statistics of devices. */
import { NetlinkError } from '../netlink/error.js';
import { monotonicMs } from '../sys/clock.js';
import { ArgumentError } from '../sys/error.js';
import { sleep, type WaitOptions } from '../sys/wait.js';
import { VIRTIO_ID_NET } from '../virtio/ids.js';
import type { DeviceQueues, VdpaClient } from './client.js';
import type { VendorStats } from './model.js';

/** The vendor statistics of the virtqueues of a device. */
export interface DeviceStats extends DeviceQueues {
  readonly name: string;
}

/**
 * Yields the statistics of one device, or of each device that has any. `vdpa dev stats show [ DEV ]`
 * @param options the time limit is for each answer of the kernel
 * @throws NetlinkError if the named device has none, or the kernel does not answer; the reason of the signal
 */
export async function* eachDeviceStats(
  client: VdpaClient,
  name?: string,
  options: WaitOptions = {},
): AsyncGenerator<DeviceStats, void, undefined> {
  if (name !== undefined) {
    yield { name, ...(await client.deviceStats(await client.device(name, options), options)) };
    return;
  }
  for (const device of await client.devices(options)) {
    // The kernel reads the statistics of network devices only.
    if (device.deviceId !== VIRTIO_ID_NET) continue;
    let stats: DeviceQueues;
    try {
      stats = await client.deviceStats(device, options);
    } catch (error) {
      // Its driver keeps none, no virtio driver is bound to it yet, or it was deleted: a device in a list without
      // statistics.
      if (error instanceof NetlinkError && error.code !== 'ETIMEDOUT' && error.code !== 'EPERM') continue;
      throw error;
    }
    yield { name: device.name, ...stats };
  }
}

/** Statistics at one time, with the rate of each counter since the previous sample. */
export interface StatsSample {
  /** Time since the previous sample, in seconds; 0 in the first one. */
  readonly seconds: number;
  readonly counters: readonly CounterSample[];
}

/** A counter of a virtqueue at one time. */
export interface CounterSample {
  readonly device: string;
  /** The queue, as reported by the kernel. */
  readonly queue: VendorStats;
  readonly name: string;
  readonly value: bigint;
  /** Increase per second; undefined without a previous value, or if the counter was reset. */
  readonly rate?: number;
}

/** Options of {@link watchStats}. The time limit is for each answer of the kernel. */
export interface WatchStatsOptions extends WaitOptions {
  /** Only this device; by default all that have statistics. */
  readonly name?: string;
  /** Time from one sample to the next, in milliseconds; 1000 by default. */
  readonly intervalMs?: number;
}

/**
 * Yields samples of the statistics endlessly, one immediately and then one per interval, until the loop is left or the
 * signal is aborted. `vdpa -w dev stats show [ DEV ]`
 * @throws ArgumentError for an invalid interval; NetlinkError as {@link eachDeviceStats} does; the reason of the signal
 */
export async function* watchStats(
  client: VdpaClient,
  { name, intervalMs = 1000, ...options }: WatchStatsOptions = {},
): AsyncGenerator<StatsSample, never, undefined> {
  if (!(intervalMs > 0 && intervalMs <= MAX_INTERVAL_MS)) {
    throw new ArgumentError(`invalid interval: ${intervalMs} ms`);
  }
  const watch = new StatsWatch();
  for (let next = monotonicMs(); ; next += intervalMs) {
    options.signal?.throwIfAborted();
    const devices: DeviceStats[] = [];
    for await (const device of eachDeviceStats(client, name, options)) devices.push(device);
    yield watch.compare(devices, monotonicMs());
    await sleep(Math.max(next + intervalMs - monotonicMs(), 0), options.signal);
  }
}

/** The longest time of a timer of Node. */
const MAX_INTERVAL_MS = 0x7fff_ffff;

/** Compares statistics with the previous sample. */
export class StatsWatch {
  #before = new Map<string, bigint>();
  #time: number | undefined;

  /** @param time when the statistics were taken, in milliseconds since any fixed point in time */
  compare(devices: readonly DeviceStats[], time: number): StatsSample {
    const seconds = this.#time === undefined ? 0 : (time - this.#time) / 1000;
    const before = this.#before;
    const now = new Map<string, bigint>();
    const counters = devices.flatMap(({ name: device, queues }) =>
      queues.flatMap((queue) =>
        queue.counters.map(({ name, value }): CounterSample => {
          const key = JSON.stringify([device, queue.queueIndex, name]);
          now.set(key, value);
          const last = before.get(key);
          const rate = last === undefined || value < last || seconds <= 0 ? undefined : Number(value - last) / seconds;
          return { device, queue, name, value, ...(rate !== undefined && { rate }) };
        }),
      ),
    );
    this.#before = now;
    this.#time = time;
    return { seconds, counters };
  }
}
