/** `dev add mgmtdev vduse` attaches what another program serves, and starts a server only on request. */
import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { identityOfBlock, identityOfNet } from '../../src/sim/state/identity.js';
import { toInstance } from '../../src/sim/state/vduse-instance.js';
import { monotonicMs } from '../../src/sys/clock.js';
import { output, vdpa } from '../support/command-line.js';
import { reference } from '../support/kernel/lab/compare.js';
import { nothingLeft, runningServers } from '../support/kernel/lab/leftovers.js';
import { needs, testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { startResponder, toResponding } from '../support/kernel/servers/responder-process.js';
import type { RespondingInstance } from '../support/kernel/servers/vduse-responder.js';
import { start, until } from '../support/kernel/servers/vduse.js';

const { afterEach, describe, test } = testsWith(VDUSE);

const ADD = 'dev add mgmtdev vduse name';
const VDPA = '/run/bin/vdpa';

/** Disks without sectors, so that nothing reads from them. */
const block = (name: string): RespondingInstance =>
  toResponding(toInstance(name, identityOfBlock({ name, type: 'block', size: 0 }), 1));
const net = (name: string): RespondingInstance =>
  toResponding(toInstance(name, identityOfNet({ name, type: 'net' }), 1));
const halfMade = (name: string): RespondingInstance => ({ ...block(name), queueSizes: [0] });

const devices = (): string[] => readdirSync('/sys/bus/vdpa/devices');

afterEach(nothingLeft);

describe('without a keyword that asks for a server', () => {
  for (const [words, advice] of [
    ['', 'size 64M'],
    [' type block', 'size 64M'],
    [' type net', 'type net serve'],
    [' driver virtio', 'size 64M'],
  ] as const) {
    test(
      `without a server "dev add${words}" fails as in iproute2, and reports why`,
      needs('vdpa-iproute2'),
      async () => {
        const expected = reference([...`${ADD} x`.split(' ')]);
        assert.deepEqual([expected.status, expected.stdout], [1, '']);
        const hint = `x has no server: start one, or run "vdpa dev add mgmtdev vduse name x ${advice}".\n`;
        assert.deepEqual(await vdpa(`${ADD} x${words}`), { ...expected, stderr: expected.stderr + hint });
      },
    );
  }

  for (const words of ['mac 00:11:22:33:44:55', 'mtu 1500', 'mac 00:11:22:33:44:55 mtu 1500']) {
    test(`"${words}" is sent to the kernel as by iproute2`, needs('vdpa-iproute2'), async () => {
      const line = `${ADD} x ${words}`;
      const expected = reference(line.split(' '));
      assert.match(expected.stderr, /not supported/);
      const { stderr, ...actual } = await vdpa(line);
      assert.deepEqual(actual, { status: expected.status, stdout: expected.stdout });
      assert.ok(stderr.startsWith(expected.stderr));
      assert.doesNotMatch(stderr, /has no server/);
    });
  }

  test('the server of another program is attached, and "type" only checks its type', async () => {
    const endResponder = await startResponder([block('blk0'), net('net0')]);
    const stray = await vdpa(`${ADD} blk0 type net`);
    assert.deepEqual(stray, { status: 1, stdout: '', stderr: 'blk0 is not a net device: its server provides block\n' });
    assert.deepEqual(devices(), []);
    assert.equal(await output(`${ADD} blk0 type block`), '');
    assert.equal(await output(`${ADD} net0`), '');
    assert.deepEqual(devices().sort(), ['blk0', 'net0']);
    assert.deepEqual(runningServers(), []);
    for (const name of devices()) await output(`dev del ${name}`);
    await endResponder();
  });

  test('a server that has not set up its queues is reported, and waited for no longer than requested', async () => {
    const endResponder = await startResponder([halfMade('half0')]);
    for (const words of ['', ' wait 1']) {
      assert.deepEqual(await vdpa(`${ADD} half0${words}`), {
        status: 1,
        stdout: '',
        stderr:
          'kernel answers: Invalid argument\n' +
          'The server of half0 has not set up its queues yet: to wait for it, add "wait SECONDS".\n',
      });
    }
    await endResponder();
  });
});

describe('"wait" waits for the server of another program', () => {
  test('that comes', async () => {
    const adding = vdpa(`${ADD} late0 wait 60`, { env: { VDPA_VDUSE_SERVE: '1' } });
    // Only time shows that it keeps waiting.
    const early = await Promise.race([adding, new Promise((resolve) => setTimeout(resolve, 300, 'waits'))]);
    assert.equal(early, 'waits');
    const serving = start(VDPA, 'vduse', 'serve', 'name', 'late0', 'size', '1M');
    assert.deepEqual(await adding, { status: 0, stdout: '', stderr: '' });
    assert.deepEqual(devices(), ['late0']);
    await output('dev del late0');
    assert.equal((await serving).status, 0);
  });

  test('that never starts', async () => {
    const begin = monotonicMs();
    const { status, stderr } = await vdpa(`${ADD} never0 wait 1`);
    assert.ok(monotonicMs() - begin >= 1000);
    assert.equal(status, 1);
    assert.match(stderr, /^kernel answers: Invalid argument\nnever0 has no server: /);
  });

  test('and does not start our own', async () => {
    for (const words of ['serve', 'size 1M', 'path /tmp/x', 'type net ifname tap0']) {
      const { status, stderr } = await vdpa(`${ADD} x ${words} wait 1`);
      const word = words.split(' ').at(words.startsWith('type') ? 2 : 0) ?? '';
      assert.deepEqual(
        [status, stderr],
        [1, `"wait" and "${word}" are mutually exclusive: "wait" is for a server of another program\n`],
      );
    }
  });
});

describe('a server is started', () => {
  for (const words of [
    'serve',
    'size 1M',
    'backend ram',
    'backend null',
    'queues 2',
    'queue_size 64',
    'packed on',
    'block_size 4096',
    'readonly',
    'serial S1',
    'user nobody',
    'restart off',
    'type net serve',
    'type net queues 1',
    'type net serve mac 02:00:00:00:00:01 mtu 1400',
    'type net backend loopback',
    'type net ifname vtap1',
  ]) {
    test(`for "${words}"`, async () => {
      assert.equal(await output(`${ADD} own0 ${words}`), '');
      assert.deepEqual(devices(), ['own0']);
      assert.match(await output('vduse show own0'), /^own0: server vdpa /);
      await output('dev del own0');
    });
  }

  test('if VDPA_VDUSE_SERVE is set, and not to 0', async () => {
    for (const value of ['', '0']) {
      assert.equal((await vdpa(`${ADD} own0`, { env: { VDPA_VDUSE_SERVE: value } })).status, 1);
    }
    const env = { VDPA_VDUSE_SERVE: '1' };
    const nothing = { status: 0, stdout: '', stderr: '' };
    assert.deepEqual(await vdpa(`${ADD} own0`, { env }), nothing);
    assert.deepEqual(await vdpa(`${ADD} own1 type net mac 02:00:00:00:00:01`, { env }), nothing);
    assert.match(await output('dev show own1'), /^own1: type network /);
    for (const name of ['own0', 'own1']) await output(`dev del ${name}`);
  });

  test('but not in place of another program that has created the instance', async () => {
    const endResponder = await startResponder([block('theirs0')]);
    const refused = await vdpa(`${ADD} theirs0 serve size 1M`);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /^theirs0 already has a server, .*"size" has no effect/);
    assert.equal(await output(`${ADD} theirs0 serve`), '');
    assert.match(await output('vduse show theirs0'), /^theirs0: server another program attached true/);
    await output('dev del theirs0');
    await endResponder();
  });

  test('nor of one that creates it in the meantime: that is attached', async () => {
    for (const [words, status] of [
      ['serve', 0],
      ['size 1M', 1],
    ] as const) {
      const { adding, pid } = await stoppedServer(`${ADD} race0 ${words}`, 'race0');
      const endResponder = await startResponder([block('race0')]);
      process.kill(pid, 'SIGCONT');
      const outcome = await adding;
      assert.equal(outcome.status, status, outcome.stderr);
      assert.match(await output('vduse show race0'), /^race0: server another program /);
      if (status === 0) await output('dev del race0');
      else assert.match(outcome.stderr, /^race0 already has a server/);
      await endResponder();
    }
  });
});

/** Starts to add a device, and stops its new server before that has created the instance. */
async function stoppedServer(
  line: string,
  name: string,
): Promise<{ readonly adding: ReturnType<typeof start>; readonly pid: number }> {
  for (let attempt = 0; attempt < 20; attempt++) {
    const adding = start('env', 'VDPA_VDUSE_SERVE=0', VDPA, ...line.split(' '));
    const pid = Number(await until('its server starts', () => runningServers()[0]));
    process.kill(pid, 'SIGSTOP');
    if (!existsSync(`/dev/vduse/${name}`)) return { adding, pid };
    process.kill(pid, 'SIGCONT');
    await adding;
    await output(`dev del ${name}`);
  }
  assert.fail('every server was faster');
}
