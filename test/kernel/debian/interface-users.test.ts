/** Interfaces in use in ways that need modules, all of which Debian's own kernel has. */
import '../../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { VdpaBus } from '../../../src/sysfs/bus.js';
import { bash, sh, start, until } from '../../support/kernel/servers/vduse.js';

/** The interfaces of two devices. */
const eth: string[] = [];
const devices = ['net0', 'net1'];

before(async () => {
  for (const module of ['vduse', 'virtio_vdpa', 'virtio_net']) await sh(`modprobe ${module}`);
  for (const name of devices) {
    await sh(`vdpa dev add mgmtdev vduse name ${name} type net serve driver virtio`);
    eth.push(await until(`${name} has an interface`, () => new VdpaBus().device(name)?.netdev));
  }
});

after(async () => {
  for (const name of devices) await sh(`vdpa vduse del ${name}`);
});

afterEach(async () => {
  for (const netdev of eth)
    await bash(`ip link set ${netdev} nomaster; ip link set ${netdev} down; ip address flush ${netdev}`);
});

/** Checks that a device is not unbound from its driver, and who uses its interface. */
async function kept(
  name: string,
  users: readonly Readonly<Record<string, string>>[],
  ...words: string[]
): Promise<void> {
  const { dev } = JSON.parse(await sh(`vdpa -j -d dev show ${name}`)) as { dev: Record<string, { user?: unknown }> };
  assert.deepEqual(dev[name]?.user, users);
  const { status, stderr } = await start('vdpa', 'dev', 'unbind', name);
  assert.equal(status, 1);
  assert.match(stderr, /Device or resource busy \(EBUSY\)\. It is in use: /);
  for (const word of words) assert.ok(stderr.includes(word), `${word}\n${stderr}`);
}

for (const [kind, module, words] of [
  ['bond', 'bonding', 'mode active-backup'],
  ['team', 'team', ''],
  ['vrf', 'vrf', 'table 10'],
] as const) {
  test(`a port of a ${kind} keeps its device`, async () => {
    await sh(`modprobe ${module}`);
    await sh(`ip link add master0 type ${kind} ${words}`.trimEnd());
    try {
      const [netdev = ''] = eth;
      await sh(`ip link set ${netdev} master master0`);
      const { dev } = JSON.parse(await sh('vdpa -j -d dev show net0')) as {
        dev: { net0: { user: { kind: string }[] } };
      };
      // A bond and a team bring their ports up themselves.
      const up = dev.net0.user.some((user) => user.kind === 'up') ? [{ kind: 'up', netdev }] : [];
      await kept('net0', [...up, { kind: 'master', netdev, master: 'master0' }], `${netdev} is a port of master0`);
    } finally {
      await sh('ip link del master0');
    }
  });
}

for (const [kind, module, words] of [
  ['vlan', '8021q', 'id 5'],
  ['macvlan', 'macvlan', ''],
  ['ipvlan', 'ipvlan', ''],
] as const) {
  test(`an interface that a ${kind} is on top of keeps its device`, async () => {
    await sh(`modprobe ${module}`);
    const [netdev = ''] = eth;
    await sh(`ip link add link ${netdev} name upper0 type ${kind} ${words}`.trimEnd());
    try {
      await kept('net0', [{ kind: 'upper', netdev, upper: 'upper0' }], `upper0 is on top of ${netdev}`);
    } finally {
      await sh('ip link del upper0');
    }
  });
}

for (const [what, script] of [
  ['of several next hops', 'ip route add 203.0.113.0/24 nexthop via 10.0.0.2 nexthop via 10.0.1.2'],
  [
    'of a group of nexthop objects',
    `ip nexthop add id 1 via 10.0.0.2 dev ETH0; ip nexthop add id 2 via 10.0.1.2 dev ETH1
      ip nexthop add id 10 group 1/2; ip route add 203.0.113.0/24 nhid 10
      echo 0 >/proc/sys/net/ipv4/nexthop_compat_mode`,
  ],
] as const) {
  test(`an IPv4 route ${what} counts for each of them`, async () => {
    for (const [index, netdev] of eth.entries()) {
      await bash(`echo 1 >/proc/sys/net/ipv6/conf/${netdev}/disable_ipv6
        ip link set ${netdev} up; ip address add 10.0.${index}.1/24 dev ${netdev}`);
    }
    await bash(script.replace('ETH0', eth[0] ?? '').replace('ETH1', eth[1] ?? ''));
    for (const [index, netdev] of eth.entries()) {
      const users = [
        { kind: 'up', netdev },
        { kind: 'address', netdev, address: `10.0.${index}.1/24` },
        { kind: 'route', netdev, route: '203.0.113.0/24' },
      ];
      await kept(devices[index] ?? '', users, `${netdev} has the route 203.0.113.0/24`);
    }
  });
}
