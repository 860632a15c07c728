import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, existsSync, openSync, readFileSync, readlinkSync, writeSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { DatagramListener } from '../support/kernel/lab/datagram-listener.js';
import { nothingLeft, runningServers } from '../support/kernel/lab/leftovers.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { VhostBlock } from '../support/kernel/drivers/vhost-block.js';
import { bash, giveToVhost, start, until, type Ran } from '../support/kernel/servers/vduse.js';

const { afterEach, describe, test } = testsWith(VDUSE);

const VDPA = '/run/bin/vdpa';
const FILE = '/tmp/output';
const BROKEN = 'the driver broke queue 0';

const vdpa = (line: string): Promise<Ran> => start(VDPA, ...line.split(' '));

interface Shown {
  readonly pid?: number;
  readonly supervisor?: number;
  readonly trouble?: string;
}

async function show(name: string): Promise<Shown> {
  const { stdout } = await vdpa(`-j vduse show ${name}`);
  return (JSON.parse(stdout) as { vduse: Record<string, Shown> }).vduse[name] ?? {};
}

/** The system log, and the messages it has received. */
function systemLog(context: TestContext): { readonly lines: string[]; readonly read: () => string[] } {
  const listener = new DatagramListener('/dev/log');
  const lines: string[] = [];
  context.after(() => {
    listener.close();
  });
  return {
    lines,
    read: () => {
      lines.push(...listener.received());
      return lines;
    },
  };
}

/** Makes a guest break the ring of a device. */
async function breakRing(name: string): Promise<VhostBlock> {
  const driver = new VhostBlock(await giveToVhost(name));
  driver.start();
  assert.equal(driver.request(0, 8, 512), 0);
  driver.offer(60_000);
  await until('the server has noticed', async () => ((await show(name)).trouble ?? '').includes(BROKEN));
  return driver;
}

afterEach(async () => {
  await until('no server is left', () => runningServers().length === 0);
  nothingLeft();
});

describe('a guest that breaks its ring does not end its server, and the event is in the system log:', () => {
  for (const [how, words] of [
    ['created by dev add', ''],
    ['created by dev add restart on', 'restart on'],
    ['created by dev add user nobody', 'user nobody'],
  ] as const) {
    test(how, async (context) => {
      const log = systemLog(context);
      await bash(`rm -f ${FILE}; truncate -s 8M ${FILE}; chmod 666 ${FILE}`);
      const add = `dev add mgmtdev vduse name ring0 path ${FILE} ${words}`.trimEnd();
      assert.deepEqual(await vdpa(add), { status: 0, stdout: '', stderr: '' });
      const { pid = 0, supervisor } = await show('ring0');
      const driver = await breakRing('ring0');
      const line = await until('the log has it', () => log.read().find((each) => each.includes(BROKEN)));
      assert.match(line, /^<28>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d vdpa\[\d+\]: ring0: the driver broke queue 0: /);
      for (const process of [pid, ...(supervisor === undefined ? [] : [supervisor])]) {
        for (const fd of [0, 1]) assert.equal(readlinkSync(`/proc/${process}/fd/${fd}`), '/dev/null');
      }
      driver.start();
      assert.equal(driver.request(0, 8, 512), 0);
      driver.close();
      assert.equal((await show('ring0')).pid, pid, 'another server');
      assert.deepEqual(await vdpa('vduse del ring0'), { status: 0, stdout: '', stderr: '' });
    });
  }

  for (const [how, words] of [
    ['served in the foreground, after its reader is gone', ''],
    ['served in the foreground with restart on, after its reader is gone', 'restart on'],
  ] as const) {
    test(how, async (context) => {
      const log = systemLog(context);
      await bash(`rm -f ${FILE}; truncate -s 8M ${FILE}`);
      const line = `vduse serve name ring0 path ${FILE} ${words}`.trimEnd();
      const server = spawn(VDPA, line.split(' '), { stdio: ['ignore', 'pipe', 'pipe'] });
      const ended = once(server, 'close');
      server.stdout.destroy();
      server.stderr.destroy();
      await until('it serves', () => existsSync('/run/vdpa/vduse/ring0/socket'));
      await bash('/run/bin/vdpa-iproute2 dev add name ring0 mgmtdev vduse');
      const driver = await breakRing('ring0');
      await until('the log has it', () => log.read().some((each) => each.includes(BROKEN)));
      driver.close();
      assert.deepEqual(await vdpa('vduse del ring0'), { status: 0, stdout: '', stderr: '' });
      assert.deepEqual(await ended, [0, null]);
    });
  }

  test('served in the foreground, with a stuck reader and a full pipe', async (context) => {
    const log = systemLog(context);
    await bash(`rm -f ${FILE} /tmp/full; truncate -s 8M ${FILE}; mkfifo /tmp/full`);
    const reader = openSync('/tmp/full', constants.O_RDWR | constants.O_NONBLOCK);
    assert.throws(() => {
      for (;;) writeSync(reader, new Uint8Array(4096));
    }, /EAGAIN/);
    const full = openSync('/tmp/full', constants.O_WRONLY);
    const server = spawn(VDPA, ['vduse', 'serve', 'name', 'ring0', 'path', FILE], { stdio: ['ignore', full, full] });
    closeSync(full);
    const ended = once(server, 'close');
    await until('it serves', () => existsSync('/run/vdpa/vduse/ring0/socket'));
    await bash('/run/bin/vdpa-iproute2 dev add name ring0 mgmtdev vduse');
    const driver = await breakRing('ring0');
    await until('the log has it', () => log.read().some((each) => each.includes(BROKEN)));
    driver.close();
    assert.deepEqual(await vdpa('vduse del ring0'), { status: 0, stdout: '', stderr: '' });
    assert.deepEqual(await ended, [0, null]);
    closeSync(reader);
  });
});

describe('a server process', () => {
  const module = new URL('../../src/cli/service-output.js', import.meta.url).href;
  const worker = `const { Worker } = require('node:worker_threads'); new Worker('console.error("from a thread")', { eval: true })`;
  for (const [what, code, expected] of [
    ['a warning of Node', `process.emitWarning('a warning')`, /a warning/],
    ['what is written to the console', `console.log('to the console')`, /to the console/],
    ['what a thread writes', worker, /from a thread/],
  ] as const) {
    test(`does not die of ${what} without a reader`, async (context) => {
      const log = systemLog(context);
      const script = `import { createRequire } from 'node:module'; const require = createRequire(${JSON.stringify(module)});
        import { ServiceOutput } from ${JSON.stringify(module)};
        new ServiceOutput(() => undefined).begin(); ${code}; process.stdin.resume().on('end', () => process.exit(3));`;
      const child = spawn('node', ['--input-type=module', '-e', script], { stdio: 'pipe' });
      const ended = once(child, 'close');
      child.stdout.destroy();
      child.stderr.destroy();
      await until('the log has it', () => log.read().some((line) => expected.test(line)));
      child.stdin.end();
      assert.deepEqual(await ended, [3, null]);
    });
  }

  test('logs the error that ends it', async (context) => {
    const log = systemLog(context);
    const script = `import { ServiceOutput } from ${JSON.stringify(module)};
      new ServiceOutput(() => undefined).begin(); setImmediate(() => { throw new RangeError('nobody catches it'); });`;
    const child = spawn('node', ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    child.stderr.destroy();
    assert.deepEqual(await once(child, 'close'), [1, null]);
    assert.match(log.read().join('\n'), /^<27>.*RangeError: nobody catches it/m);
  });

  test('writes to its standard error, not to the log, if there is a reader', async (context) => {
    const log = systemLog(context);
    await bash(`rm -f ${FILE}; truncate -s 8M ${FILE}`);
    const server = bash(`${VDPA} vduse serve name ring0 path ${FILE} restart on 2>/tmp/errors`);
    await until('it serves', () => existsSync('/run/vdpa/vduse/ring0/socket'));
    await bash('/run/bin/vdpa-iproute2 dev add name ring0 mgmtdev vduse');
    const driver = await breakRing('ring0');
    driver.close();
    await until('it is written', () => readFileSync('/tmp/errors', 'utf8').includes(BROKEN));
    assert.deepEqual(log.read(), []);
    assert.deepEqual(await vdpa('vduse del ring0'), { status: 0, stdout: '', stderr: '' });
    await server;
  });
});
