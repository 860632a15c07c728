/** Scripts as operators and public projects have them, where the machine itself uses new devices: each names where it is from. */
import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { identityOfBlock } from '../../src/sim/state/identity.js';
import { FIRST_MINOR, toInstance } from '../../src/sim/state/vduse-instance.js';
import { lines } from '../support/command-line.js';
import { nothingLeft } from '../support/kernel/lab/leftovers.js';
import { SIMULATORS, testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { sameScript, simulators } from '../support/kernel/lab/same-script.js';
import { startResponder, toResponding } from '../support/kernel/servers/responder-process.js';

const { afterEach, test } = testsWith('jq', VDUSE, ...SIMULATORS);

afterEach(nothingLeft);

test('an operator provisions every management device, twice, and removes everything', () => {
  const shown = lines(
    'vm0 vdpasim_net 02:00:00:00:00:00 /dev/vhost-vdpa-0',
    'vm1 vdpasim_net 02:00:00:00:00:01 /dev/vhost-vdpa-1',
  );
  const { status, stdout } = sameScript(simulators, 'for n in 2 2 0 0; do ./provision.sh $n nobody || exit; done');
  assert.equal(status, 0);
  assert.equal(stdout, `${shown}${shown}${lines('vm0 removed', 'vm1 removed')}`);
});

test('tests for avocado-vt, with virtio', () => {
  const { status, stdout } = sameScript(simulators, './avocado-vt.sh virtio');
  assert.equal(status, 0);
  assert.ok(stdout.includes(lines('vdpa_blk_test vda', 'vdpa_net_test eth0')), stdout);
});

test("Vitastor's CSI plugin, on a disk that another program serves", async () => {
  const name = 'vitastor-vduse-1';
  const disk = { type: 'block', queues: 2, queue_size: 128 } as const;
  // That program's has no sectors, so that nothing reads from it.
  const identity = identityOfBlock({ name, ...disk, size: 0 });
  const end = await startResponder([toResponding(toInstance(name, identity, FIRST_MINOR))]);
  try {
    const machine = { ...simulators, vduse: { [name]: disk } };
    const { status, stdout } = sameScript(machine, `./vitastor-csi.sh ${name}`);
    assert.deepEqual([status, stdout], [0, lines('{}', `${name} /dev/vda`, '{}')]);
    assert.equal(sameScript(machine, './vitastor-csi.sh vitastor-vduse-2').status, 1);
  } finally {
    await end();
  }
});
