import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { json, output, vdpa } from '../support/command-line.js';
import { SIMULATORS, testsWith } from '../support/kernel/lab/needs.js';
import { checkOutput } from '../support/output-schemas.js';
import { bash, sh, until } from '../support/kernel/servers/vduse.js';
import { VdpaBus, findUsers } from '../../src/index.js';

const { afterEach, before, beforeEach, test } = testsWith(...SIMULATORS);

let eth = '';

before(async () => {
  await bash('ip link add br0 type bridge; ip link set br0 up');
});

beforeEach(async () => {
  await output('dev add mgmtdev vdpasim_net name foo0 mac 02:00:00:00:00:01');
  eth = await until('it has an interface', () => new VdpaBus().device('foo0')?.netdev);
});

afterEach(async () => {
  for (const name of Object.keys(((await json('dev show')) as { dev: object }).dev)) await output(`dev del ${name}`);
});

/** The users of foo0, as -d shows them in JSON. */
async function users(): Promise<unknown[]> {
  const text = await output('-j -d dev show foo0');
  checkOutput('dev-show', text);
  return (JSON.parse(text) as { dev: { foo0: { user?: unknown[] } } }).dev.foo0.user ?? [];
}

/** Checks that foo0 is not unbound from its driver, and that `words` give the reason. */
async function kept(...words: readonly string[]): Promise<void> {
  for (const line of ['dev unbind foo0', 'dev bind foo0 driver vhost']) {
    const { status, stderr } = await vdpa(line);
    assert.equal(status, 1, line);
    assert.match(stderr, /^vdpa: .*: Device or resource busy \(EBUSY\)\. It is in use: /);
    for (const word of words) assert.ok(stderr.includes(word), `${line}: ${word}\n${stderr}`);
  }
}

test('an interface that is down and unconfigured does not keep its device', async () => {
  assert.deepEqual(await users(), []);
  assert.match(await output('-d dev show foo0'), new RegExp(`\\n {2}driver virtio_vdpa .*netdev ${eth}\\n$`));
  await output('dev unbind foo0');
});

test('an interface that is up or has addresses or routes keeps its device', async () => {
  await sh(`ip address add 192.0.2.1/24 dev ${eth}`);
  assert.deepEqual(await users(), [{ kind: 'address', netdev: eth, address: '192.0.2.1/24' }]);
  await kept(`${eth} has the address 192.0.2.1/24`);
  await bash(`ip link set ${eth} up; ip address add 2001:db8::1/64 dev ${eth} nodad
    ip route add default via 192.0.2.254; ip route add 198.51.100.0/24 via 192.0.2.253
    ip -6 route add 2001:db8:1::/48 via 2001:db8::2`);
  assert.deepEqual(await users(), [
    { kind: 'up', netdev: eth },
    { kind: 'address', netdev: eth, address: '192.0.2.1/24' },
    { kind: 'address', netdev: eth, address: '2001:db8::1/64' },
    { kind: 'route', netdev: eth, route: 'default' },
    { kind: 'route', netdev: eth, route: '198.51.100.0/24' },
    { kind: 'route', netdev: eth, route: '2001:db8:1::/48' },
  ]);
  assert.match(await output('-d dev show foo0'), new RegExp(`\\n {2}user: up netdev ${eth}\\n {2}user: address `));
  await kept(
    `${eth} is up; `,
    'the address 2001:db8::1/64',
    `${eth} has the route default`,
    'the route 2001:db8:1::/48',
  );
  const { status, stderr } = await vdpa('dev unbind foo0 force');
  assert.equal(status, 0);
  assert.match(stderr, new RegExp(`^Warning: ${eth} is up\\.$`, 'm'));
  assert.equal(new VdpaBus().device('foo0')?.driver, undefined);
});

test('a port of a bridge keeps its device', async () => {
  await sh(`ip link set ${eth} master br0`);
  assert.deepEqual(await users(), [{ kind: 'master', netdev: eth, master: 'br0' }]);
  await kept(`${eth} is a port of br0`);
});

test('a route with several next hops counts for each of them', async () => {
  await output('dev add mgmtdev vdpasim_net name foo1 mac 02:00:00:00:00:02');
  const other = await until('it has an interface', () => new VdpaBus().device('foo1')?.netdev);
  await bash(`ip link set ${eth} up; ip link set ${other} up
    ip address add 2001:db8:1::1/64 dev ${eth} nodad; ip address add 2001:db8:2::1/64 dev ${other} nodad
    ip -6 route add 2001:db8:9::/48 nexthop via 2001:db8:1::2 nexthop via 2001:db8:2::2`);
  for (const [name, netdev] of [
    ['foo0', eth],
    ['foo1', other],
  ] as const) {
    const bus = new VdpaBus();
    const found = await findUsers(bus.files, bus.device(name) ?? assert.fail());
    assert.deepEqual(
      found.filter(({ kind }) => kind === 'route'),
      [{ kind: 'route', netdev, route: '2001:db8:9::/48' }],
    );
  }
});

test('a route of a nexthop object counts, even if the route does not name its interface', async (context) => {
  await bash(`ip link set ${eth} up; ip address add 192.0.2.1/24 dev ${eth}
    ip nexthop add id 1 via 192.0.2.2 dev ${eth}; ip nexthop add id 10 group 1
    ip route add 203.0.113.0/24 nhid 10; ip route add 203.0.114.0/24 nhid 1`);
  const compatible = '/proc/sys/net/ipv4/nexthop_compat_mode';
  context.after(() => {
    writeFileSync(compatible, '1');
  });
  for (const mode of ['1', '0']) {
    writeFileSync(compatible, mode);
    const routes = (await users()).slice(2);
    const wanted = ['203.0.113.0/24', '203.0.114.0/24'].map((route) => ({ kind: 'route', netdev: eth, route }));
    assert.deepEqual(routes, wanted, `compatible: ${mode}`);
    await kept(`${eth} has the route 203.0.114.0/24`);
  }
});

test('an interface in another network namespace keeps its device', async () => {
  const virtio = new VdpaBus().device('foo0')?.virtio ?? '';
  await sh('ip netns add elsewhere');
  await sh(`ip link set ${eth} netns elsewhere`);
  try {
    assert.deepEqual(await users(), [{ kind: 'namespace', virtio }]);
    await kept(`the interface of ${virtio} is in another network namespace`);
    assert.match(await output('tree'), new RegExp(`${virtio} \\(interface in another network namespace\\)`));
  } finally {
    await sh(`ip netns exec elsewhere ip link set ${eth} netns 1`);
    await sh('ip netns del elsewhere');
  }
  await output('dev unbind foo0');
});

test('an interface in use does not keep its device from being deleted, as with iproute2', async () => {
  await sh(`ip link set ${eth} up`);
  await output('dev del foo0');
});
