/** Scripts of public projects that expect new devices to be bound to vhost_vdpa, on a kernel without virtio_vdpa. */
import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { json, lines, vdpa } from '../support/command-line.js';
import { PCI } from '../support/kernel/drivers/vp-vdpa.js';
import { nothingLeft } from '../support/kernel/lab/leftovers.js';
import { describeQemu } from '../support/kernel/lab/machine-pci.js';
import { needs, SIMULATORS, testsWith, VDUSE, VP_VDPA } from '../support/kernel/lab/needs.js';
import { sameScript, simulators } from '../support/kernel/lab/same-script.js';
import type { MachineDescription } from '../../src/sim/state/description.js';

const { afterEach, test } = testsWith('jq', VDUSE, ...SIMULATORS);

const withVhost = (machine: MachineDescription): MachineDescription => ({ ...machine, bus_driver: 'vhost_vdpa' });

afterEach(nothingLeft);

test('tests for avocado-vt, with vhost', () => {
  const { status, stdout } = sameScript(withVhost(simulators), './avocado-vt.sh vhost');
  assert.equal(status, 0);
  assert.ok(stdout.includes(lines('vdpa_blk_test /dev/vhost-vdpa-0', 'vdpa_net_test /dev/vhost-vdpa-1')), stdout);
});

test("Cloud Hypervisor's tests", async () => {
  const { status, stdout, stderr } = sameScript(withVhost(simulators), './cloud-hypervisor.sh');
  const names = ['vdpa-blk1', 'vdpa-blk2', 'vdpa-net1'];
  assert.equal(status, 0, stderr);
  assert.deepEqual(Object.keys((JSON.parse(stdout) as { dev: object }).dev), names);
  for (const name of names) assert.equal((await vdpa(`dev del ${name}`)).status, 0);
});

test('LXD, on a PCI function whose queues cannot be chosen', needs(VP_VDPA), async () => {
  const script = `vdpa dev add name vdpa0 mgmtdev vdpasim_net && ./lxd.sh ${PCI.net}`;
  const { status, stderr } = sameScript(withVhost(await describeQemu()), script);
  assert.equal(status, 1);
  assert.match(stderr, /^kernel answers: Operation not supported\nNot supported by the management device: max_vqp$/m);
  assert.deepEqual(Object.keys(((await json('dev show')) as { dev: object }).dev), ['vdpa0']);
  assert.equal((await vdpa('dev del vdpa0')).status, 0);
});

test('a fork of CloudStack, on a PCI function whose queues cannot be chosen', needs(VP_VDPA), async () => {
  const script = `./cloudstack.sh ${PCI.net} vdpa-aabbccddeeff aa:bb:cc:dd:ee:ff`;
  const { status, stderr } = sameScript(withVhost(await describeQemu()), script);
  assert.equal(status, 1);
  assert.match(
    stderr,
    /^kernel answers: Operation not supported\nNot supported by the management device: mac, max_vqp$/m,
  );
});
