import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { transform } from 'esbuild';
import { serve } from '../../src/vduse/index.js';
import { checkoutRoot } from '../../lab/cache.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { attach, bash, detach, diskOf, start, until, type Ran } from '../support/kernel/servers/vduse.js';

const { test } = testsWith(VDUSE);

const document = readFileSync(join(checkoutRoot, 'docs/vduse.md'), 'utf8');

/** Runs the example under a heading in its own process, which serves a device, and attaches the device. */
async function runExample(heading: string, device: string): Promise<{ disk: string; stop: () => Promise<Ran> }> {
  const example = new RegExp(`\n## ${heading}\n[^]*?\`\`\`ts\n([^]*?)\`\`\``).exec(document)?.[1];
  assert.ok(example);
  const library = new URL('../../src/vduse/index.js', import.meta.url).href;
  const { code } = await transform(example.replaceAll('vdpa/vduse', library), { loader: 'ts' });
  writeFileSync(`/tmp/${device}.mjs`, code);
  const serving = start('sh', '-c', `echo $$ > /tmp/${device}.pid; exec node /tmp/${device}.mjs`);
  await until('the instance exists', () => existsSync(`/dev/vduse/${device}`));
  // The queues are set up a moment after the node appears.
  await until('it can be attached', () =>
    attach(device).then(
      () => true,
      () => false,
    ),
  );
  const stop = async (): Promise<Ran> => {
    await detach(device);
    process.kill(pidOf(device), 'SIGTERM');
    return serving;
  };
  return { disk: await diskOf(device), stop };
}

const pidOf = (device: string): number => Number(readFileSync(`/tmp/${device}.pid`, 'utf8'));

test('the backend of docs/vduse.md works as described', async () => {
  const { disk, stop } = await runExample('Writing a backend', 'numbered0');
  assert.equal(await bash(`dd if=${disk} bs=512 skip=1234 count=1 status=none | tr -d '\\0'`), 'sector 1234\n');
  assert.equal(await bash(`blockdev --getro --getsize64 ${disk}`), '1\n1048576\n');
  assert.deepEqual(await stop(), { status: 0, stdout: '', stderr: '' });
  assert.ok(!existsSync('/dev/vduse/numbered0'));
});

test('the data plane of docs/vduse.md serves requests, and accepts changes from its server', async () => {
  const { disk, stop } = await runExample('Writing a data plane', 'letters0');
  const read = `dd if=${disk} bs=4096 skip=100 count=1 iflag=direct status=none | tr -s a-z`;
  assert.equal(await bash(read), 'a');
  await bash(`! dd if=/dev/zero of=${disk} bs=4096 count=1 oflag=direct status=none 2>/dev/null`);
  process.kill(pidOf('letters0'), 'SIGUSR2');
  await until('it has changed', async () => (await bash(read)) === 'b');
  assert.deepEqual(await stop(), { status: 0, stdout: '', stderr: '' });
  assert.ok(!existsSync('/dev/vduse/letters0'));
});

test('block and net devices are served alike, and await using stops them', async () => {
  const disk = await serve({ type: 'block', name: 'alike0', backend: { type: 'ram', size: 1024 * 1024 } });
  const card = await serve({
    type: 'net',
    name: 'alike1',
    backend: { type: 'loopback' },
    mac: '02:00:00:00:00:AA',
    queues: 2,
  });
  assert.deepEqual([disk.name, disk.type, disk.mac, disk.ifname], ['alike0', 'block', undefined, undefined]);
  assert.deepEqual([card.name, card.type, card.mac, card.ifname], ['alike1', 'net', '02:00:00:00:00:aa', undefined]);
  assert.equal(card.server.status().queues.length, 4);
  for (const device of [disk, card]) {
    assert.equal(device.server.state, 'idle');
    await device[Symbol.asyncDispose]();
    assert.equal(device.server.state, 'stopped');
    assert.ok(!existsSync(`/dev/vduse/${device.name}`));
  }
});

test('the start can be aborted, and leaves nothing behind', async () => {
  const options = { type: 'block', name: 'late0', backend: { type: 'ram', size: 1024 * 1024 } } as const;
  const reason = new Error('enough');
  await assert.rejects(serve({ ...options, signal: AbortSignal.abort(reason) }), (error) => error === reason);
  await assert.rejects(serve({ ...options, timeoutMs: 1 }), {
    name: 'SystemError',
    code: 'ETIMEDOUT',
    operation: 'serve late0',
  });
  await until('it is gone', () => !existsSync('/dev/vduse/late0'));
  await assert.rejects(serve({ ...options, type: 'net', backend: { type: 'loopback' }, mac: 'x' }), {
    name: 'ArgumentError',
  });
});
