import '../support/kernel/inside.js';
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { json, output, vdpa } from '../support/command-line.js';

let netdev = '';

before(async () => {
  await output('dev add mgmtdev vdpasim_net name foo0 mac 02:00:00:00:00:01');
  const { dev } = (await json('-d dev show foo0')) as { dev: { foo0: { netdev: string } } };
  ({ netdev } = dev.foo0);
  execFileSync('ip', ['addr', 'add', '10.9.0.1/24', 'dev', netdev]);
  execFileSync('ip', ['link', 'set', netdev, 'up']);
});

after(async () => {
  await output('dev del foo0');
});

/** Sends packets that the simulator counts. */
function send(): void {
  spawnSync('ping', ['-c', '5', '-i', '0.01', '-W', '1', '-w', '1', '10.9.0.2']);
}

test('metrics are clean to promtool, where it is installed, and count what was sent', async (context) => {
  send();
  const text = await output('dev stats show -o openmetrics');
  assert.match(text, /^vdpa_device_info\{dev="foo0",type="net",mgmtdev="vdpasim_net"\} 1$/m);
  assert.match(text, /^vdpa_queue_tx_packets_total\{dev="foo0",qidx="1",queue_type="tx",counter="tx packets"\} [1-9]/m);
  assert.ok(text.endsWith('\n# EOF\n'));
  const check = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
  if (check.error) context.diagnostic('promtool is not installed');
  else assert.deepEqual([check.status, check.stdout, check.stderr], [0, '', '']);
});

test('watching gives rates, a document a second', async () => {
  const watch = spawn('vdpa', ['-w', '-j', 'dev', 'stats', 'show', 'foo0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  watch.stdout.setEncoding('utf8');
  const samples: { seconds: number; counters: { counter: string; value: number; rate?: number }[] }[] = [];
  let rest = '';
  const taken = (async () => {
    for await (const part of watch.stdout) {
      const lines = (rest + String(part)).split('\n');
      rest = lines.pop() ?? '';
      samples.push(...lines.map((line) => JSON.parse(line) as (typeof samples)[number]));
      if (samples.length === 1) send();
      if (samples.length >= 3) break;
    }
  })();
  await taken;
  watch.kill();
  await once(watch, 'close');
  const [first, ...later] = samples;
  assert.ok(first?.seconds === 0 && first.counters.every(({ rate }) => rate === undefined));
  assert.ok(
    later.some(({ counters }) => counters.some(({ counter, rate = 0 }) => counter === 'tx packets' && rate > 0)),
  );
  for (const { seconds } of later) assert.ok(seconds > 0.5 && seconds < 1.5, `${seconds} s`);
});

test('on a terminal each sample takes the place of the one before, with bars', () => {
  // script(1) gives it a terminal.
  const { stdout } = spawnSync('script', ['-qec', 'timeout 2.5 vdpa -w dev stats show foo0', '/dev/null'], {
    encoding: 'utf8',
  });
  const frames = stdout.split('\x1b[H\x1b[J');
  assert.ok(frames.length >= 3, stdout);
  assert.match(frames.at(-1) ?? '', /^foo0 {2}qidx 0 rx +rx packets +\d+ +\d+\.\d\/s/);
});

test('what cannot be is refused', async () => {
  for (const line of [
    '-w dev show',
    'dev show -o openmetrics',
    'dev stats show -o dot',
    'dev stats show -j -o openmetrics',
    'dev stats show -w -o openmetrics',
    'dev stats show nothing -o openmetrics',
    'dev stats show nothing -w',
  ]) {
    const { status, stdout } = await vdpa(line);
    assert.equal(status, 1, line);
    assert.doesNotMatch(stdout, /vdpa_/, line);
  }
});
