import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { stripVTControlCharacters } from 'node:util';
import { json, output, vdpa } from '../support/command-line.js';
import { SIMULATORS, testsWith } from '../support/kernel/lab/needs.js';

const { after, before, test } = testsWith(...SIMULATORS);

const clearScreen = '\x1b[H\x1b[J';

let netdev = '';

before(async () => {
  await output('dev add mgmtdev vdpasim_net name foo0 mac 02:00:00:00:00:01');
  const { dev } = (await json('-d dev show foo0')) as { dev: { foo0: { netdev: string } } };
  ({ netdev } = dev.foo0);
  execFileSync('ip', ['addr', 'add', '10.9.0.1/24', 'broadcast', '10.9.0.255', 'dev', netdev]);
  execFileSync('ip', ['link', 'set', netdev, 'up']);
});

after(async () => {
  await output('dev del foo0');
});

/** Sends packets that the simulator counts: broadcasts, which require no neighbor to answer first. */
async function send(): Promise<void> {
  const socket = createSocket('udp4');
  try {
    await new Promise<void>((resolve) => {
      socket.bind(0, '10.9.0.1', resolve);
    });
    socket.setBroadcast(true);
    for (let packet = 0; packet < 20; packet++) {
      await new Promise((resolve) => {
        socket.send('packet', 9, '10.9.0.255', resolve);
      });
    }
  } finally {
    socket.close();
  }
}

test('metrics pass promtool, where it is installed, and count what was sent', async (context) => {
  await send();
  const text = await output('dev stats show -o openmetrics');
  assert.match(text, /^vdpa_device_info\{dev="foo0",type="net",mgmtdev="vdpasim_net"\} 1$/m);
  assert.match(text, /^vdpa_queue_tx_packets_total\{dev="foo0",qidx="1",queue_type="tx",counter="tx packets"\} [1-9]/m);
  assert.ok(text.endsWith('\n# EOF\n'));
  const check = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
  if (check.error) context.diagnostic('promtool is not installed');
  else assert.deepEqual([check.status, check.stdout, check.stderr], [0, '', '']);
});

test('watching gives rates, one document per second', async () => {
  const watch = spawn('vdpa', ['-w', '-j', 'dev', 'stats', 'show', 'foo0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  watch.stdout.setEncoding('utf8');
  const samples: { seconds: number; counters: { counter: string; value: number; rate?: number }[] }[] = [];
  let rest = '';
  const taken = (async () => {
    for await (const part of watch.stdout) {
      const lines = (rest + String(part)).split('\n');
      rest = lines.pop() ?? '';
      samples.push(...lines.map((line) => JSON.parse(line) as (typeof samples)[number]));
      if (samples.length === 1) await send();
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

test('on a terminal each sample replaces the previous one, with bars', async () => {
  // script(1) gives it a terminal.
  const watch = spawn('script', ['-qec', 'exec vdpa -w dev stats show foo0', '/dev/null'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  for await (const part of watch.stdout.setEncoding('utf8')) {
    text += String(part);
    if (text.split(clearScreen).length > 3) break;
  }
  watch.kill();
  await once(watch, 'close');
  const [before, first, second] = text.split(clearScreen);
  assert.equal(before, '');
  assert.match(first ?? '', /^foo0 {2}qidx 0 rx +rx packets +\d+\r\n/);
  assert.match(second ?? '', /^foo0 {2}qidx 0 rx +rx packets +\d+ +\d+\.\d\/s/);
});

for (const { what, setting, env } of [
  { what: 'output fits the height and the width, and has colors', setting: 'cols 40 rows 6', env: {} },
  {
    what: 'output has no escapes with TERM=dumb, and only ASCII with LC_ALL=C',
    setting: 'cols 60 rows 24',
    env: { TERM: 'dumb', LC_ALL: 'C' },
  },
]) {
  test(`on a terminal ${what}`, async () => {
    const watch = spawn('script', ['-qec', `stty ${setting}; exec vdpa -w -c dev stats show foo0`, '/dev/null'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, TERM: 'xterm', LC_ALL: 'C.UTF-8', ...env },
    });
    const isDumb = 'TERM' in env;
    let text = '';
    for await (const part of watch.stdout.setEncoding('utf8')) {
      text += String(part);
      if (text.split(isDumb ? 'qidx 0 rx  ' : clearScreen).length > (isDumb ? 12 : 3)) break;
    }
    watch.kill();
    await once(watch, 'close');
    if (isDumb) {
      assert.match(text, /^[\r\n -~]+$/);
      return;
    }
    const screen = text.split(clearScreen)[2] ?? '';
    assert.ok(screen.includes('\x1b['));
    const rows = stripVTControlCharacters(screen).trimEnd().split('\r\n');
    assert.equal(rows.length, 5);
    for (const row of rows) assert.ok(row.length <= 40, row);
    assert.match(rows[4] ?? '', /^… \d+ more$/);
  });
}

test('invalid requests are rejected', async () => {
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
