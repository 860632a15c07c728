import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { release } from 'node:os';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { READY_VARIABLE } from '../../src/vduse/daemon/launch.js';
import { checkOutput } from '../support/output-schemas.js';
import { TestMachine } from '../support/test-machine.js';

/** The files of this machine, with a simulated kernel. */
const machine = new TestMachine();
await machine.vdpa('dev add name no-such0 mgmtdev vdpasim_net');

describe('commands that read the files of this machine', () => {
  test('host show reports its kernel', async () => {
    const { status, stdout, stderr } = await machine.vdpa('-j host show');
    assert.deepEqual([status, stderr], [0, '']);
    checkOutput('host-show', stdout);
    const { host } = JSON.parse(stdout) as { host: { machine: { kernel: string }; vdpa_family: { present: boolean } } };
    assert.equal(host.machine.kernel, release());
    assert.equal(host.vdpa_family.present, true);
  });

  test('dev show with details shows a device that is not on the bus without them', async () => {
    const plain = await machine.vdpa('dev show no-such0');
    for (const line of ['-d dev show no-such0', '-d dev show']) {
      assert.deepEqual(await machine.vdpa(line), plain, line);
    }
  });

  test('a device that is not on the bus is neither bound nor unbound', async () => {
    for (const line of ['dev bind no-such0 driver vhost', 'dev unbind no-such0']) {
      const { status, stdout, stderr } = await machine.vdpa(line);
      assert.deepEqual([status, stdout], [1, ''], line);
      assert.match(stderr, /no-such0|vhost/);
    }
  });
});

const skip = existsSync('/dev/vduse/control') ? 'this machine has VDUSE' : false;

describe('vduse serve without VDUSE', { skip }, () => {
  const program = fileURLToPath(new URL('../../src/main.js', import.meta.url));
  const serve = (env: NodeJS.ProcessEnv, ...args: readonly string[]) =>
    spawnSync(process.execPath, [program, 'vduse', 'serve', ...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      encoding: 'utf8',
    });

  test('fails with what the kernel lacks', () => {
    const { status, stdout, stderr } = serve({}, 'name', 'unit0', 'size', '1M');
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(stderr, /modprobe vduse/);
  });

  test('notifies the process that started it, once', () => {
    const { status, output } = serve({ [READY_VARIABLE]: '3' }, 'name', 'unit0', 'size', '1M');
    assert.equal(status, 1);
    const [line = '', ...more] = (output[3] ?? '').trimEnd().split('\n');
    const { failed } = JSON.parse(line) as { failed: string[] };
    assert.match(failed.join('\n'), /modprobe vduse/);
    assert.deepEqual(more, []);
  });

  test('rejects invalid arguments before anything else', () => {
    for (const [args, message] of [
      [[], /device name is not set/],
      [['name', '..'], /\.\./],
      [['name', 'unit0', 'size', '1'], /size|1/],
      [['name', 'unit0', 'path', 'x', 'ifname', 'y'], /ifname|path/],
    ] as const) {
      const { status, stderr } = serve({ [READY_VARIABLE]: 'x' }, ...args);
      assert.equal(status, 1);
      assert.match(stderr, message);
    }
  });
});
