import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { reportHost } from '../../src/host/report.js';
import { VdpaBus } from '../../src/sysfs/bus.js';
import { VdpaClient } from '../../src/vdpa/client.js';
import { json, output } from '../support/command-line.js';
import { needs, SIMULATORS, VDUSE } from '../support/kernel/lab/needs.js';
import { asNobody } from '../support/kernel/lab/unprivileged.js';

test('a machine with everything is ready', needs(VDUSE, ...SIMULATORS), async () => {
  await output('dev add mgmtdev vdpasim_net name foo0 driver vhost');
  const { host } = (await json('host show')) as { host: Record<string, unknown> };
  await output('dev del foo0');
  assert.deepEqual(host['machine'], {
    kernel: execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim(),
    ready: true,
  });
  assert.deepEqual(host['advice'], []);
  const family = host['vdpa_family'] as { present: boolean; operations: string[] };
  assert.equal(family.present, true);
  assert.ok(family.operations.includes('DEV_ATTR_SET'));
  const states = new Map((host['module'] as { name: string; state: string }[]).map(({ name, state }) => [name, state]));
  for (const name of ['vdpa', 'vhost_vdpa', 'virtio_vdpa', 'vduse', 'vdpa_sim_net', 'iommufd']) {
    assert.equal(states.get(name), 'built-in', name);
  }
  assert.equal(states.has('mlx5_vdpa'), false);
  assert.deepEqual(host['mgmtdev'], [
    { name: 'vdpasim_net', classes: 'net' },
    { name: 'vdpasim_blk', classes: 'block' },
    { name: 'vduse', classes: 'net,block' },
  ]);
  assert.deepEqual(host['vduse'], { present: true, node: '/dev/vduse/control', api_version: 1, features: '0x3' });
  assert.deepEqual(host['vhost'], [{ node: '/dev/vhost-vdpa-0', device: 'foo0' }]);
  assert.deepEqual(host['iommu'], {
    present: true,
    node: '/dev/iommu',
    iova_alignment: 1,
    iova_ranges: ['0x0-0xffffffffffffffff'],
  });
  assert.deepEqual(host['capabilities'], {
    net_admin: true,
    dac_override: true,
    initial_user_namespace: true,
  });
});

test('the report of an unprivileged user says so, and shows what is permitted', needs(VDUSE), () => {
  const [setpriv, ...words] = asNobody;
  const text = execFileSync(setpriv, [...words, 'vdpa', 'host', 'show'], { encoding: 'utf8' });
  assert.match(text, /^advice: insufficient privileges: run as root, or with CAP_NET_ADMIN$/m);
  assert.match(text, /^vdpa_family: present true /m);
  assert.match(text, /^vduse: present false; Run as root, or grant access/m);
  assert.match(text, /^iommu: present false; Run as root, or grant access/m);
});

test('the report of root in another user namespace says that it has no privileges', () => {
  const inside = ['--user', '--map-root-user'];
  const text = execFileSync('unshare', [...inside, 'vdpa', 'host', 'show'], { encoding: 'utf8' });
  assert.match(text, /^machine: kernel \S+ ready false$/m);
  assert.match(text, /^advice: insufficient privileges in this user namespace: run as root in the initial one/m);
  assert.match(text, /^capabilities: net_admin false dac_override false initial_user_namespace false$/m);
  const add = spawnSync('unshare', [...inside, 'vdpa', 'dev', 'add', 'mgmtdev', 'vdpasim_net', 'name', 'denied0']);
  assert.equal(add.status, 1);
});

test('another network namespace has no family', () => {
  const text = execFileSync('unshare', ['-n', 'vdpa', 'host', 'show'], { encoding: 'utf8' });
  assert.match(text, /^advice: no vdpa netlink family: run in the initial network namespace/m);
});

test('the same from the library', needs(VDUSE, ...SIMULATORS), async () => {
  const client = await VdpaClient.open();
  const report = await reportHost(new VdpaBus(), () => Promise.resolve(client));
  await client.close();
  assert.deepEqual(report.advice, []);
  assert.ok(report.iommu.present);
  assert.deepEqual(report.iommu.ranges, [{ start: 0n, last: 0xffff_ffff_ffff_ffffn }]);
});
