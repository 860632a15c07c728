/** `vdpa dev bench` on the kernel's simulators and on VDUSE devices. */
import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { json, output, vdpa } from '../support/command-line.js';
import { nothingLeft } from '../support/kernel/lab/leftovers.js';
import { SIMULATORS, testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { bash } from '../support/kernel/servers/vduse.js';
import { checkOutput } from '../support/output-schemas.js';

const { afterEach, test } = testsWith(VDUSE, ...SIMULATORS);

afterEach(async () => {
  for (const name of Object.keys(((await json('dev show')) as { dev: object }).dev)) await output(`dev del ${name}`);
  nothingLeft();
});

interface Result {
  readonly seconds: number;
  readonly driver_busy: number;
  readonly lost: number;
  readonly operations: readonly {
    readonly operation: string;
    readonly requests: number;
    readonly requests_per_second: number;
    readonly bytes: number;
    readonly latency_ns: Readonly<Record<string, number>>;
  }[];
}

async function bench(words: string): Promise<Result> {
  const stdout = await output(`-j dev bench ${words} time 1`);
  checkOutput('dev-bench', stdout);
  const { bench: results } = JSON.parse(stdout) as { bench: Record<string, Result> };
  const [result] = Object.values(results);
  assert.ok(result);
  return result;
}

/**
 * Checks that figures fit together. By Little's law, rate times latency is the number of requests in flight: never above the
 * depth, and below it by the time in which the driver, which shares the processor with the device, has not refilled the ring.
 */
function checkFigures({ seconds, driver_busy: busy, operations }: Result, blockSize: number, inFlight: number): void {
  assert.ok(seconds >= 1 && seconds < 10, `${seconds} s`);
  assert.ok(busy > 0 && busy <= 1, `busy ${busy}`);
  let atOnce = 0;
  for (const { requests, bytes, requests_per_second: rate, latency_ns: latency } of operations) {
    assert.ok(requests > 20, `${requests} requests`);
    assert.equal(bytes, requests * blockSize);
    const values = ['min', 'p50', 'p90', 'p99', 'p99.9', 'p99.99', 'max'].map((name) => latency[name] ?? 0);
    assert.deepEqual(
      values.toSorted((one, other) => one - other),
      values,
    );
    atOnce += (rate * (latency['mean'] ?? 0)) / 1e9;
  }
  assert.ok(atOnce > inFlight / 20 && atOnce < inFlight * 1.1, `${atOnce} at once, not ${inFlight}`);
}

async function driverOf(name: string): Promise<unknown> {
  const { dev } = (await json(`-d dev show ${name}`)) as {
    dev: Record<string, { driver: unknown; driver_override?: unknown }>;
  };
  return [dev[name]?.driver, dev[name]?.driver_override];
}

test('the block simulator is measured, and put back', async () => {
  await output('dev add mgmtdev vdpasim_blk name blk0');
  const before = await driverOf('blk0');
  checkFigures(await bench('blk0 depth 4'), 4096, 4);
  // It permits segments of 4 KiB only.
  checkFigures(await bench('blk0 rw rw bs 16K depth 2 destructive'), 16_384, 2);
  assert.deepEqual(await driverOf('blk0'), before);
  const refused = await vdpa('dev bench blk0 bs 1M');
  assert.match(refused.stderr, /^A block of 1048576 bytes needs 256 segments of 4096 bytes; the disk permits 32\n$/);
  assert.equal(refused.status, 1);
  assert.deepEqual(await driverOf('blk0'), before);
});

test('packets come back from the network simulator', async () => {
  await output('dev add mgmtdev vdpasim_net name net0 mac 02:00:00:00:00:01');
  const result = await bench('net0 depth 8');
  assert.deepEqual([result.operations.map(({ operation }) => operation), result.lost], [['loop'], 0]);
  checkFigures(result, 64, 8);
});

test('disks that vdpa serves, split and packed, on several queues', async () => {
  await output('dev add mgmtdev vduse name ram0 serve size 16M queues 2 packed on');
  checkFigures(await bench('ram0'), 4096, 32);
  checkFigures(await bench('ram0 rw randrw bs 512 depth 16 queues 2 destructive'), 512, 32);
  await output('dev add mgmtdev vduse name ram1 serve size 16M packed off');
  checkFigures(await bench('ram1 rw read bs 64K depth 4'), 65_536, 4);
  const text = await output('dev bench ram1 depth 1 time 1');
  assert.match(
    text,
    /^ram1: rw randread bs 4096 depth 1 queues 1, \d+\.\d s, driver busy \d+ %\n {2}read {2}\d+ requests\/s/,
  );
});

test('metrics, and a picture of a sweep', async () => {
  await output('dev add mgmtdev vduse name ram0 serve size 16M');
  const metrics = await output('dev bench ram0 time 1 -o openmetrics');
  assert.match(metrics, /^vdpa_bench_latency_seconds\{dev="ram0",operation="read",quantile="0\.99"\} 0\.\d+$/m);
  assert.match(metrics, /\n# EOF\n$/);
  const picture = await output('dev bench ram0 time 1 depth 3 -o svg');
  assert.match(picture, /^<\?xml .*\n<svg /);
  assert.equal([...picture.matchAll(/<circle /g)].length, 9, 'three percentiles at depths 1, 2 and 3');
});

test('two devices in turn, both put back', async () => {
  await output('dev add mgmtdev vduse name ram0 serve size 16M');
  await output('dev add mgmtdev vdpasim_blk name blk0');
  const before = await Promise.all([driverOf('ram0'), driverOf('blk0')]);
  const stdout = await output('-j dev bench ram0 against blk0 depth 4 time 2');
  checkOutput('dev-bench', stdout);
  const { bench: results } = JSON.parse(stdout) as {
    bench: Record<string, { against?: { ratios: { median: number; lowest: number; highest: number }[] } }>;
  };
  assert.deepEqual(Object.keys(results), ['ram0', 'blk0']);
  const ratios = results['ram0']?.against?.ratios ?? [];
  assert.equal(ratios.length, 3);
  for (const { median, lowest, highest } of ratios) assert.ok(lowest > 0 && lowest <= median && median <= highest);
  assert.deepEqual(await Promise.all([driverOf('ram0'), driverOf('blk0')]), before);
  const missing = await vdpa('dev bench ram0 against nosuch time 1');
  assert.match(missing.stderr, /nosuch.*ENODEV/);
  assert.deepEqual(await driverOf('ram0'), before[0]);
});

test('writes and reads reach the disk', async () => {
  await bash('truncate -s 1M /tmp/measured');
  await output('dev add mgmtdev vduse name file0 serve backend file path /tmp/measured');
  const refused = await vdpa('dev bench file0 rw write time 1');
  assert.match(refused.stderr, /overwrites the data of the device/);
  assert.equal(refused.status, 1);
  const sum = (): Promise<string> => bash('md5sum < /tmp/measured');
  const before = await sum();
  await bench('file0 rw randread');
  assert.equal(await sum(), before);
  await output('dev del file0');
  await output('dev add mgmtdev vduse name file0 serve backend file path /tmp/measured readonly');
  assert.match((await vdpa('dev bench file0 rw write destructive')).stderr, /^The disk is read-only: write writes\n$/);
});

test('a network that vdpa serves', async () => {
  await output('dev add mgmtdev vduse name net0 type net serve packed on');
  const result = await bench('net0 bs 1514');
  assert.equal(result.operations[0]?.operation, 'loop');
  checkFigures(result, 1514, 32);
});

test('a device in use is refused', async () => {
  await output('dev add mgmtdev vdpasim_net name net0 driver vhost');
  const node = openSync('/dev/vhost-vdpa-0', 'r+');
  const refused = await vdpa('dev bench net0');
  closeSync(node);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /^vdpa: bind net0 to vhost_vdpa: .* It is in use: .*End that first\n$/);
});

test('a signal ends the measurement, and the device is put back', async () => {
  await output('dev add mgmtdev vdpasim_blk name blk0');
  const before = await driverOf('blk0');
  const program = spawn('vdpa', ['dev', 'bench', 'blk0', 'time', '600'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  program.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const closed = once(program, 'close');
  while (JSON.stringify(await driverOf('blk0')) === JSON.stringify(before)) await setTimeout(20);
  program.kill('SIGINT');
  assert.deepEqual(await closed, [130, null]);
  assert.match(stderr, /^Interrupted by SIGINT/);
  assert.deepEqual(await driverOf('blk0'), before);
});
