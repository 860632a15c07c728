import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { VdpaBus } from '../../src/sysfs/bus.js';
import { nothingLeft, runningServers } from '../support/kernel/lab/leftovers.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { bash, sh, start, until, type Ran } from '../support/kernel/servers/vduse.js';

const { afterEach, describe, test } = testsWith(VDUSE);

const VDPA = '/run/bin/vdpa';

const vdpa = (line: string): Promise<Ran> => start(VDPA, ...line.split(' '));

async function done(line: string): Promise<void> {
  assert.deepEqual(await vdpa(line), { status: 0, stdout: '', stderr: '' }, line);
}

interface Shown {
  readonly pid?: number;
  readonly server: string;
  readonly state?: string;
  readonly ifname?: string;
}

async function show(name: string): Promise<Shown | undefined> {
  const { status, stdout } = await vdpa(`-j vduse show ${name}`);
  return status === 0 ? (JSON.parse(stdout) as { vduse: Record<string, Shown> }).vduse[name] : undefined;
}

function served(name: string, not?: number): Promise<Shown & { readonly pid: number }> {
  return until(`${name} is served`, async () => {
    const shown = await show(name);
    const pid = shown?.pid;
    const isServing = shown?.state === 'running' || shown?.state === 'idle';
    return shown && isServing && pid !== undefined && pid !== not && { ...shown, pid };
  });
}

/** Kills the server of a device. */
async function kill(name: string): Promise<void> {
  process.kill((await served(name)).pid, 'SIGKILL');
  await until('it has died', async () => (await show(name))?.server === 'none');
}

/** What an operator has configured on an interface, and what identifies it as the same one. */
async function looks(tap: string): Promise<unknown> {
  const read = (file: string): string => readFileSync(`/sys/class/net/${tap}/${file}`, 'utf8').trim();
  await until('its carrier is up', () => read('carrier') === '1');
  return {
    index: read('ifindex'),
    mac: read('address'),
    mtu: read('mtu'),
    flags: read('flags'),
    addresses: /inet (\S+)/.exec(await sh(`ip -o -4 address show dev ${tap}`))?.[1],
    bridge: existsSync(`/sys/class/net/${tap}/master`) && readFileSync(`/sys/class/net/${tap}/master/ifindex`, 'utf8'),
  };
}

const isThere = (tap: string): boolean => existsSync(`/sys/class/net/${tap}`);

afterEach(async () => {
  await until('no server is left', () => runningServers().length === 0);
  nothingLeft();
});

describe('a tap interface of a server that is killed and replaced', () => {
  for (const [how, words] of [
    ['by its supervisor: keeps index, address, state, MTU and bridge, and is deleted with its device', 'restart on'],
    ['by its supervisor, as another user: the same', 'restart on user nobody'],
    ['by its supervisor, with several queues: the same', 'restart on queues 2'],
  ] as const) {
    test(how, async () => {
      await done(`dev add mgmtdev vduse name net0 type net ifname vdpat0 mtu 1400 ${words}`);
      await bash(`ip link add br0 type bridge; ip link set br0 up; ip link set vdpat0 master br0
        ip link set vdpat0 mtu 1300; ip link set vdpat0 up; ip address add 10.9.9.1/24 dev vdpat0`);
      const before = await looks('vdpat0');
      let { pid } = await served('net0');
      for (let kills = 0; kills < 2; kills++) {
        process.kill(pid, 'SIGKILL');
        ({ pid } = await served('net0', pid));
        assert.deepEqual(await looks('vdpat0'), before);
      }
      await done('dev del net0');
      assert.ok(!isThere('vdpat0'), 'it is left');
      await bash('ip link del br0');
    });
  }

  test('by "vduse serve" again: the same, also if the kernel chose its name, or if it was renamed', async () => {
    await done('dev add mgmtdev vduse name net0 type net backend tap');
    const { ifname = '' } = await served('net0');
    await bash(`ip link set ${ifname} up; ip address add 10.9.9.1/24 dev ${ifname}`);
    const before = await looks(ifname);
    await kill('net0');
    assert.ok(isThere(ifname), 'it is gone');
    const second = vdpa('vduse serve name net0 type net backend tap');
    assert.equal((await served('net0')).ifname, ifname);
    assert.deepEqual(await looks(ifname), before);
    // Older kernels do not rename an interface that is up.
    await bash(`ip link set ${ifname} down; ip link set ${ifname} name renamed; ip link set renamed up`);
    await kill('net0');
    assert.equal((await second).status, null);
    const third = vdpa('vduse serve name net0 type net backend tap');
    assert.equal((await served('net0')).ifname, 'renamed');
    assert.deepEqual(await looks('renamed'), before);
    await done('vduse del net0');
    assert.equal((await third).status, 0);
    assert.ok(!isThere('renamed') && !isThere(ifname), 'it is left');
  });

  test('that is stopped with its device on the bus: is kept for the next server; "vduse del" removes it after a crash', async () => {
    await done('dev add mgmtdev vduse name net0 type net ifname vdpat0 queues 2');
    await bash('ip link set vdpat0 up; ip address add 10.9.9.1/24 dev vdpat0');
    const before = await looks('vdpat0');
    process.kill((await served('net0')).pid, 'SIGTERM');
    await until('it has ended', () => runningServers().length === 0);
    const next = vdpa('vduse serve name net0 type net ifname vdpat0 queues 2');
    await served('net0');
    assert.deepEqual(await looks('vdpat0'), before);
    await bash('/run/bin/vdpa-iproute2 dev del net0');
    await kill('net0');
    assert.equal((await next).status, null);
    assert.ok(isThere('vdpat0'), 'it is gone');
    await done('vduse del net0');
    assert.ok(!isThere('vdpat0'), 'it is left');
  });

  test('and was moved to a named network namespace: the same there, whatever its index; is deleted with its device', async (context) => {
    await done('dev add mgmtdev vduse name net0 type net ifname vdpat0 mtu 1400 restart on');
    await bash('ip netns add other; ip netns add elsewhere');
    context.after(() => bash('ip netns del other; ip netns del elsewhere'));
    // That namespace already has an interface with its index; another has one with its name and index, but another address.
    const number = readFileSync('/sys/class/net/vdpat0/ifindex', 'utf8').trim();
    await bash(`ip -n other link add dummy0 index ${number} type dummy
      ip -n elsewhere link add vdpat0 index ${number} type dummy
      ip link set vdpat0 netns other; ip -n other link set vdpat0 up
      ip -n other address add 10.9.9.1/24 dev vdpat0`);
    const link = async (): Promise<string> =>
      (await sh('ip -n other -o link show vdpat0')).replace(/<.*>|state \S+/g, '');
    const before = await link();
    let { pid } = await served('net0');
    for (let kills = 0; kills < 2; kills++) {
      process.kill(pid, 'SIGKILL');
      ({ pid } = await served('net0', pid));
      assert.equal(await link(), before);
      assert.ok(!isThere('vdpat0'), 'another one was created');
    }
    const netdev = new VdpaBus().device('net0')?.netdev ?? '';
    await bash(`ip link set ${netdev} up; ip address add 10.9.9.2/24 dev ${netdev}`);
    await sh('ip netns exec other ping -c 1 -w 60 10.9.9.2');
    await done('dev del net0');
    assert.equal((await start('ip', '-n', 'other', 'link', 'show', 'vdpat0')).status, 1, 'it is left');
  });

  test('and was deleted: another one is created, which "vduse show" reports', async () => {
    await done('dev add mgmtdev vduse name net0 type net ifname vdpat0 restart on');
    const { pid } = await served('net0');
    await sh('ip link del vdpat0');
    process.kill(pid, 'SIGKILL');
    await served('net0', pid);
    assert.ok(isThere('vdpat0'), 'none was created');
    assert.match((await vdpa('vduse show net0')).stdout, / trouble the TAP interface vdpat0 .* was deleted, or moved /);
    await done('dev del net0');
    assert.ok(!isThere('vdpat0'), 'it is left');
  });

  test('that existed before the server: is kept when everything is deleted', async () => {
    await bash('ip tuntap add mode tap name vdpat0 vnet_hdr');
    await done('dev add mgmtdev vduse name net0 type net ifname vdpat0 restart on');
    const { pid } = await served('net0');
    process.kill(pid, 'SIGKILL');
    await served('net0', pid);
    await done('dev del net0');
    assert.ok(isThere('vdpat0'), 'it is gone');
    await bash('ip link del vdpat0');
  });
});

test('the MTU of a device is set on its tap, and preserved', async () => {
  const mtuOf = (tap: string): number => Number(readFileSync(`/sys/class/net/${tap}/mtu`, 'utf8'));
  await done('dev add mgmtdev vduse name mtu0 type net ifname vdpat0 mtu 1400 restart on');
  assert.equal(mtuOf('vdpat0'), 1400);
  const { pid } = await served('mtu0');
  process.kill(pid, 'SIGKILL');
  await served('mtu0', pid);
  assert.equal(mtuOf('vdpat0'), 1400);
  await done('dev del mtu0');
  await bash('ip tuntap add mode tap name vdpat0 vnet_hdr');
  await done('dev add mgmtdev vduse name mtu0 type net ifname vdpat0 mtu 9000');
  assert.equal(mtuOf('vdpat0'), 9000);
  await done('dev del mtu0');
  await bash('ip link del vdpat0');
});
