import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { reportHost } from '../../src/host/report.js';
import { VdpaBus } from '../../src/sysfs/bus.js';
import { FakeMachine } from '../sysfs/fake-machine.js';
import { TestMachine } from '../support/test-machine.js';

/** @param userNamespace the inode number of the process's user namespace */
const machine = (userNamespace: number): FakeMachine => {
  const fake = new FakeMachine();
  return (
    fake
      .file('/proc/sys/kernel/osrelease', '6.1\n')
      .file('/proc/self/status', 'CapEff:\t000001ffffffffff\n')
      .link('/proc/self/ns/user', `/proc/self/ns/user:[${userNamespace}]`)
      .file('/lib/modules/6.1/modules.dep', 'kernel/vduse.ko:\nkernel/iommufd.ko:\n')
      // As kmod creates it before the module is loaded.
      .file('/dev/iommu')
  );
};

/** PROC_USER_INIT_INO of linux/proc_ns.h. */
const INITIAL = 0xefff_fffd;

const here = { skip: existsSync('/dev/vduse/control') ? 'this machine has VDUSE' : false };

test('a module that exists but is not loaded is one line', here, async () => {
  const fake = machine(INITIAL);
  try {
    const { modules, vduse } = await reportHost(new VdpaBus(fake.files), () => new TestMachine().client());
    const stateOf = (wanted: string): string | undefined => modules.find(({ name }) => name === wanted)?.state;
    assert.deepEqual([stateOf('vduse'), stateOf('iommufd')], ['available', 'available']);
    assert.deepEqual(vduse, { present: false, advice: 'modprobe vduse' });
  } finally {
    fake.remove();
  }
});

test('capabilities in another user namespace do not count', async () => {
  for (const [number, isInitial] of [
    [INITIAL, true],
    [INITIAL + 100, false],
  ] as const) {
    const fake = machine(number);
    try {
      const { capabilities, advice } = await reportHost(new VdpaBus(fake.files), () => new TestMachine().client());
      const expected = { netAdmin: isInitial, dacOverride: isInitial, initialUserNamespace: isInitial };
      assert.deepEqual(capabilities, expected);
      assert.equal(
        advice.some((text) => text.includes('in this user namespace')),
        !isInitial,
      );
    } finally {
      fake.remove();
    }
  }
});
