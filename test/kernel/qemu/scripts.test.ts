/** Scripts of public projects on a PCI function; where each is from is at its head. */
import '../../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { PCI } from '../../support/kernel/drivers/vp-vdpa.js';
import { nothingLeft } from '../../support/kernel/lab/leftovers.js';
import { describeQemu } from '../../support/kernel/lab/machine-pci.js';
import { testsWith, VP_VDPA } from '../../support/kernel/lab/needs.js';
import { sameScript } from '../../support/kernel/lab/same-script.js';

const { afterEach, test } = testsWith(VP_VDPA);

afterEach(nothingLeft);

for (const driver of ['vhost', 'virtio'] as const) {
  test(`sriov-network-operator, with ${driver}`, async () => {
    const { status, stdout } = sameScript(await describeQemu(), `./sriov-network-operator.sh ${PCI.net} ${driver}`);
    assert.equal(status, 0);
    assert.match(stdout, new RegExp(`^(vdpa:${PCI.net}: type network .*\\n${driver}_vdpa\\n){2}$`));
  });
}
