import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, describe, test } from 'node:test';
import { checkOutput } from '../support/output-schemas.js';
import { vdpa, type Outcome } from '../support/command-line.js';

const folder = mkdtempSync(join(tmpdir(), 'vdpa-commands-'));
const env = { VDPA_SIM_STATE: join(folder, 'state.json') };
after(() => {
  rmSync(folder, { recursive: true });
});

/** Runs a command line on a simulated machine of this file. */
const sim = (line: string): Promise<Outcome> => vdpa(`--sim ${line}`, { env });

/** The same for a line that must succeed without warnings. */
async function done(line: string): Promise<string> {
  const { status, stdout, stderr } = await sim(line);
  assert.deepEqual([status, stderr], [0, ''], line);
  return stdout;
}

/** A line that must fail, with this message on standard error and nothing on standard output. */
async function fails(line: string, message: RegExp): Promise<void> {
  const { status, stdout, stderr } = await sim(line);
  assert.deepEqual([status, stdout], [1, ''], line);
  assert.match(stderr, message, line);
}

beforeEach(() => {
  rmSync(env.VDPA_SIM_STATE, { force: true });
});

describe('sim', () => {
  test('init makes the default machine, or one from a file; show lists what it has', async () => {
    await done('sim init');
    assert.match(await done('sim show'), /vdpasim_net driver vdpasim_net devices 0/);
    const machine = join(folder, 'machine.json');
    writeFileSync(
      machine,
      '{ "mgmtdev": { "vdpasim_blk": {} }, "faults": [{ "command": "dev add", "errno": "EIO" }] }',
    );
    await done(`sim init ${machine}`);
    const shown = JSON.parse(await done('-j sim show')) as { sim: Record<string, unknown[]> };
    assert.equal(shown.sim['mgmtdev']?.length, 1);
    assert.equal(shown.sim['fault']?.length, 1);
    await fails('dev add name a mgmtdev vdpasim_blk', /Input\/output error/);
    await fails('sim init /no/such/file', /\/no\/such\/file/);
    await fails('sim init a b', /b/);
  });

  test('reset removes devices and keeps the machine; a damaged one is replaced, with a warning', async () => {
    await done('dev add name a mgmtdev vdpasim_net');
    await done('sim reset');
    assert.equal(await done('dev show'), '');
    writeFileSync(env.VDPA_SIM_STATE, '{ "version": 1, "machine": ');
    await fails('sim show', /state\.json/);
    const { status, stderr } = await sim('sim reset');
    assert.equal(status, 0);
    assert.match(stderr, /^Warning: .*state\.json.*default machine\.\n$/);
    assert.match(await done('sim show'), /vdpasim_net/);
    await fails('sim reset now', /now/);
    await fails('sim show now', /now/);
  });
});

describe('what asks for drivers, nodes and interfaces works as on a real machine', () => {
  test('dev bind, dev unbind, and the details of devices', async () => {
    await done('dev add name a mgmtdev vdpasim_net');
    assert.match(await done('-d dev show a'), /driver virtio_vdpa virtio virtio0 virtio_driver virtio_net netdev eth0/);
    await done('dev bind a driver vhost');
    assert.match(await done('dev show vhost /dev/vhost-vdpa-0'), /^a: /);
    assert.match(await done('tree'), /vhost-vdpa-0/);
    await done('dev unbind a');
    await fails('dev show driver nosuch', /ENOENT/);
    await done('dev del a');
  });

  test('host show', async () => {
    assert.match(await done('host show'), /^machine: kernel 7\.3\.4 ready true\n/);
    checkOutput('host-show', await done('-j host show'));
  });

  test('a server in the foreground has no data to serve', async () => {
    const reason = 'Not supported by the simulated machine, which has no data to serve';
    await fails('vduse serve name a', new RegExp(`^${reason}: use "dev add mgmtdev vduse name NAME serve"\n$`));
    // As it says.
    await done('dev add mgmtdev vduse name a serve');
    assert.match(await done('vduse show a'), /^a: server vdpa type block backend ram .* state running attached true /);
    await done('dev del a');
  });
});

describe('arguments that are missing or invalid change nothing', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['dev bind', /vdpa dev bind/],
    ['dev bind a', /driver/],
    ['dev unbind', /vdpa dev unbind/],
    ['dev bench', /vdpa dev bench/],
    ['dev bench a', /simulated machine, whose devices have no data path/],
    ['dev bench a rw randwrite', /"rw randwrite" overwrites the data of the device: permit that with "destructive"/],
    ['dev bench a rw randwrite destructive', /simulated machine/],
    ['dev bench a rw sideways', /Invalid rw "sideways": expected read, write, randread/],
    ['dev bench a against a', /"a" cannot be compared with itself/],
    ['dev bench a depth 0', /Invalid depth "0": expected a number from 1 to 1024/],
    ['dev bench a bs many', /Invalid size "many"/],
    ['dev bench a time', /"time" requires a value/],
    ['dev test', /vdpa dev test/],
    ['dev test a', /simulated machine, whose devices have no data path/],
    ['dev test a only x skip y', /mutually exclusive/],
    ['dev test a hostile', /hostile/],
    ['dev del', /^String parameter expected\n$/],
    ['dev set', /name/],
    ['dev set name a mac 1', /lladdr "1"/],
    ['dev add name b', /mgmtdev|management/i],
    ['dev add mgmtdev vdpasim_net', /name/],
    ['dev add name b mgmtdev vdpasim_net mtu 65536', /mtu|65536/i],
    ['dev add name b mgmtdev vdpasim_net nonsense', /nonsense/],
    ['vduse del', /vdpa vduse del/],
    ['vduse del a force now', /now/],
    ['vduse show nobody', /nobody/],
    ['monitor everything', /vdpa monitor/],
    ['tree of', /of/],
    ['apply', /vdpa apply/],
    ['restore', /vdpa restore/],
    ['-o dot dev show', /dot/],
    ['-w dev show', /-w|watch|repeat/i],
  ];
  for (const [line, message] of cases) {
    test(line, async () => {
      await done('dev add name a mgmtdev vdpasim_net');
      const before = readFileSync(env.VDPA_SIM_STATE, 'utf8');
      await fails(line, message);
      assert.equal(readFileSync(env.VDPA_SIM_STATE, 'utf8'), before);
    });
  }
});

describe('tree', () => {
  test('in each of its formats names the same devices', async () => {
    await done('dev add name a mgmtdev vdpasim_net');
    assert.match(await done('tree'), /^vdpasim_net.*\n(?:.*\n)*?.*a/);
    assert.match(await done('-o dot tree'), /^digraph (?:.*\n)*.*"?a/);
    assert.match(await done('-o mermaid tree'), /^(graph|flowchart)/);
    const direct = JSON.parse(await done('-o json tree')) as unknown;
    assert.deepEqual(JSON.parse(await done('-j tree')), direct);
    assert.deepEqual(JSON.parse(await done('-jp tree')), direct);
  });
});

describe('statistics', () => {
  test('in OpenMetrics end as the format requires', async () => {
    await done('dev add name a mgmtdev vdpasim_net');
    assert.match(await done('-o openmetrics dev stats show'), /vdpasim_net(?:.*\n)*# EOF\n$/);
    await fails('-o openmetrics dev stats show b', /No such device/);
  });
});

describe('dev', () => {
  test('set changes what is shown, and del deletes it', async () => {
    await done('dev add name a mgmtdev vdpasim_net mac 02:00:00:00:00:01');
    assert.match(await done('dev config show a'), /mac 02:00:00:00:00:01/);
    await done('dev set name a mac 02:00:00:00:00:02');
    assert.match(await done('dev config show a'), /mac 02:00:00:00:00:02/);
    await done('dev del a');
    await fails('dev del a', /No such device/);
    await fails('dev config show a', /No such device/);
  });

  test('add with a server makes a VDUSE device, and vduse del deletes both', async () => {
    await done('dev add name v mgmtdev vduse size 1M');
    assert.match(await done('vduse show v'), /^v: server vdpa type block backend ram size 1048576 /);
    await done('vduse del v');
    await fails('vduse show v', /v/);
    assert.equal(await done('dev show'), '');
    await fails('vduse del v', /v/);
  });
});
