/** `vdpa dev test` on virtio devices of QEMU below vp_vdpa. docs/conformance.md says what is found, and where. */
import '../../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { output, vdpa } from '../../support/command-line.js';
import { bindVpVdpa, PCI } from '../../support/kernel/drivers/vp-vdpa.js';
import { testsWith, VP_VDPA } from '../../support/kernel/lab/needs.js';
import { bash, until } from '../../support/kernel/servers/vduse.js';

const { before, test } = testsWith(VP_VDPA);

interface Results {
  readonly test: Record<string, { readonly checks: readonly { readonly name: string; readonly result: string }[] }>;
}

/** Tests a device. @returns the names of the checks that failed, and of those that passed */
async function results(words: string): Promise<readonly [failed: string[], passed: string[]]> {
  const { stdout } = await vdpa(`-j dev test ${words}`);
  const checks = Object.values((JSON.parse(stdout) as Results).test).flatMap((device) => device.checks);
  const named = (result: string): string[] => checks.filter((check) => check.result === result).map(({ name }) => name);
  return [named('failed'), named('passed')];
}

before(() => {
  bindVpVdpa(PCI.block, PCI.net);
  writeFileSync('/sys/bus/vdpa/drivers_autoprobe', '0');
});

test('a disk fails where QEMU has a fault', async () => {
  await output(`dev add name disk0 mgmtdev pci/${PCI.block}`);
  const [failed, passed] = await results('disk0');
  assert.deepEqual(failed, [
    'status-before-driver-ok',
    'features-not-offered',
    'split-indirect-after-chain',
    'block-error-used-length',
    'block-config-padding',
  ]);
  assert.ok(passed.length > 45, `${passed.length}`);
  assert.ok(passed.includes('block-write-cache'));
  await output('dev del disk0');
});

test('a network device fails where QEMU has a fault, with the other end of its cable as the peer', async () => {
  writeFileSync('/sys/bus/pci/drivers/virtio-pci/bind', PCI.netWithMtu);
  const folder = await until('the peer has an interface', () =>
    bash(`echo /sys/bus/pci/devices/${PCI.netWithMtu}/virtio*/net`).then(
      (path) => existsSync(path.trim()) && path.trim(),
    ),
  );
  const [peer = ''] = readdirSync(folder);
  await bash(`ip link set ${peer} up`);
  await output(`dev add name net0 mgmtdev pci/${PCI.net}`);
  const [failed, passed] = await results(`net0 peer ${peer}`);
  assert.deepEqual(failed, ['features-not-offered', 'net-receive-num-buffers']);
  assert.ok(passed.length > 40, `${passed.length}`);
  assert.ok(passed.includes('net-receive-segments'));
  await output('dev del net0');
});
