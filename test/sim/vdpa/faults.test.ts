import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SimulationError } from '../../../src/sim/error.js';
import { parseFaults } from '../../../src/sim/state/fault-syntax.js';
import type { Fault } from '../../../src/sim/state/fault.js';
import type { VdpaClient } from '../../../src/vdpa/client.js';
import { TestMachine } from '../../support/test-machine.js';

const onNet = { managementDevice: 'vdpasim_net' };

/** Both kinds of faults: of the machine, and of the process. */
const waysIn: Readonly<Record<string, (faults: Fault[]) => TestMachine>> = {
  'of the machine': (faults) => new TestMachine({ faults }),
  'of the process': (faults) => new TestMachine({}, faults),
};

async function withDevices(machine: TestMachine, count: number): Promise<VdpaClient> {
  machine.store.update((state) => {
    for (let at = 0; at < count; at++) state.devices.push({ name: `d${at}`, mgmtdev: 'vdpasim_net' });
  });
  return machine.client();
}

for (const [way, make] of Object.entries(waysIn)) {
  describe(`faults ${way}`, () => {
    test('an error with a message', async () => {
      const client = await make([{ command: 'dev add', errno: 'ENOSPC', message: 'mlx5_vdpa: no room' }]).client();
      await assert.rejects(client.addDevice({ name: 'foo0', ...onNet }), {
        code: 'ENOSPC',
        kernelMessage: 'mlx5_vdpa: no room',
      });
      assert.deepEqual(await client.devices(), []);
    });

    test('other commands and devices are not affected', async () => {
      const client = await make([{ command: 'dev add', device: 'foo0', errno: 'EBUSY' }]).client();
      await client.addDevice({ name: 'foo1', ...onNet });
      await assert.rejects(client.addDevice({ name: 'foo0', ...onNet }), { code: 'EBUSY' });
      await assert.rejects(client.device('foo0'), { code: 'ENODEV' });
    });

    test('other management devices are not affected', async () => {
      const client = await make([{ command: 'dev add', mgmtdev: 'vdpasim_blk', errno: 'EIO' }]).client();
      await client.addDevice({ name: 'foo0', ...onNet });
      await assert.rejects(client.addDevice({ name: 'foo1', managementDevice: 'vdpasim_blk' }), {
        code: 'EIO',
      });
    });

    test('the second and the third time', async () => {
      const client = await make([{ command: 'dev add', errno: 'EAGAIN', skip: 1, times: 2 }]).client();
      await client.addDevice({ name: 'foo0', ...onNet });
      for (let times = 0; times < 2; times++) {
        await assert.rejects(client.addDevice({ name: 'foo1', ...onNet }), { code: 'EAGAIN' });
      }
      await client.addDevice({ name: 'foo1', ...onNet });
    });

    test('a delay, after which the command succeeds', async () => {
      const client = await make([{ command: 'dev add', delay: 80 }]).client();
      const begun = performance.now();
      await client.addDevice({ name: 'foo0', ...onNet });
      assert.ok(performance.now() - begun >= 75);
      assert.equal((await client.devices()).length, 1);
    });

    test('a list that is rejected', async () => {
      const client = await withDevices(make([{ command: 'dev show', errno: 'ENOMEM', message: 'no memory' }]), 2);
      await assert.rejects(client.devices(), { code: 'ENOMEM', kernelMessage: 'no memory' });
    });

    test('an error in the middle of a list, after some entries or before one', async () => {
      for (const where of [{ after: 2 }, { device: 'd2' }]) {
        const fault: Fault = { command: 'dev show', errno: 'EIO', message: 'lost', ...where };
        const client = await withDevices(make([fault]), 4);
        const seen: string[] = [];
        const all = client.eachDevice(undefined, ({ name }) => seen.push(name));
        await assert.rejects(all, { code: 'EIO', kernelMessage: 'lost' });
        assert.deepEqual(seen, ['d0', 'd1']);
      }
    });

    test('a device that disappears while it is listed: listed, then gone, and the next one is missing', async () => {
      const client = await withDevices(make([{ command: 'dev show', device: 'd1', vanish: true }]), 5);
      // The kernel counts how many it has listed: the device that moves up into the free place is skipped.
      assert.deepEqual(
        (await client.devices()).map(({ name }) => name),
        ['d0', 'd1', 'd3', 'd4'],
      );
      assert.deepEqual(
        (await client.devices()).map(({ name }) => name),
        ['d0', 'd2', 'd3', 'd4'],
      );
      await assert.rejects(client.device('d1'), { code: 'ENODEV', kernelMessage: 'vdpa: device not found' });
    });

    test('a device that disappears before a request for it', async () => {
      const client = await withDevices(make([{ command: 'dev config show', device: 'd0', vanish: true }]), 1);
      await assert.rejects(client.deviceConfig('d0'), { code: 'ENODEV' });
    });

    test('a user without privileges gets that error, and triggers no fault', async () => {
      const client = await make([{ command: 'dev add', errno: 'ENOSPC', times: 1 }]).client({ uid: 1000 });
      await assert.rejects(client.addDevice({ name: 'foo0', ...onNet }), { code: 'EPERM' });
    });
  });
}

describe('faults as text', () => {
  test('several, with quotes and in any order', () => {
    const text = ` dev add message "no room, 'really'" errno ENOSPC skip 2 times 3;; mgmtdev show delay 200;
      dev config show device 'a b' vanish ; dev show after 7 errno EIO mgmtdev pci/0000:03:00.2 `;
    assert.deepEqual(parseFaults(text), [
      { command: 'dev add', message: "no room, 'really'", errno: 'ENOSPC', skip: 2, times: 3 },
      { command: 'mgmtdev show', delay: 200 },
      { command: 'dev config show', device: 'a b', vanish: true },
      { command: 'dev show', after: 7, errno: 'EIO', mgmtdev: 'pci/0000:03:00.2' },
    ]);
  });

  for (const [text, why] of [
    ['dev explode', /expected one of mgmtdev show, dev show/],
    ['add errno EIO', /expected one of mgmtdev show/],
    ['dev add errno', /"errno" is not a keyword, or its value is missing/],
    ['dev add errno EFOO', /unknown error "EFOO"/],
    ['dev add errno toString', /unknown error "toString"/],
    ['dev add delay soon', /delay "soon" is not a number/],
    ['dev add color red', /unknown keyword "color"; expected errno, device/],
    ['dev add message "no end', /unterminated quote/],
  ] as const) {
    test(`${text}: rejected with a reason`, () => {
      assert.throws(
        () => parseFaults(text),
        (error) => error instanceof SimulationError && why.test(error.message),
      );
    });
  }
});
