// contrib/machines: each description against the schema, what was published, and what its driver does in Linux 7.3.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { checkoutRoot } from '../../lab/cache.js';
import { check } from '../../src/generated/sim-machine.js';
import { check as checkState } from '../../src/generated/sim-state.js';
import { parseMachine } from '../../src/sim/state/description.js';
import { bootState, type BusDriver } from '../../src/sim/state/model.js';
import { lines } from '../support/command-line.js';
import { TestMachine } from '../support/test-machine.js';

const folder = join(checkoutRoot, 'contrib/machines');

function describedMachine(name: string, more: Readonly<Record<string, unknown>> = {}): TestMachine {
  const document = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) as {
    mgmtdev: Record<string, object>;
  };
  const [handle = ''] = Object.keys(document.mgmtdev);
  const text = JSON.stringify({ ...document, mgmtdev: { [handle]: { ...document.mgmtdev[handle], ...more } } });
  return new TestMachine(parseMachine(text, name));
}

/** The same card on a machine whose devices are bound to another driver. */
function withDriver(name: string, bus_driver: BusDriver): TestMachine {
  const text = readFileSync(join(folder, `${name}.json`), 'utf8');
  return new TestMachine({ ...parseMachine(text, name), bus_driver });
}

/** The output of a line that must succeed, without blanks at the ends of lines, which mails do not keep. */
async function shown(machine: TestMachine, line: string): Promise<string> {
  const { status, stdout, stderr } = await machine.vdpa(line);
  assert.deepEqual([status, stderr], [0, ''], line);
  return stdout.replaceAll(/ +$/gm, '');
}

/** A line that must fail, and the kernel's message. */
async function refused(machine: TestMachine, line: string, ...said: string[]): Promise<void> {
  assert.deepEqual(await machine.vdpa(line), { status: 1, stdout: '', stderr: lines(...said) }, line);
}

test('every description obeys the schema, boots, and has the features of its file', async () => {
  const files = readdirSync(folder).filter((file) => file.endsWith('.json'));
  assert.ok(files.length >= 6);
  for (const file of files) {
    const document: unknown = JSON.parse(readFileSync(join(folder, file), 'utf8'));
    assert.equal(check(document), undefined, file);
    const machine = parseMachine(JSON.stringify(document), file);
    assert.equal(checkState(bootState(machine)), undefined, file);
    const { stdout } = await new TestMachine(machine).vdpa('-j mgmtdev show');
    const told = Object.entries((JSON.parse(stdout) as { mgmtdev: Record<string, object> }).mgmtdev);
    const written = Object.entries((document as { mgmtdev: Record<string, object> }).mgmtdev);
    assert.deepEqual(
      told,
      written.map(([handle, card]) => {
        const { supported_classes, max_supported_vqs, dev_features } = card as Record<string, unknown>;
        return [handle, { supported_classes, max_supported_vqs, dev_features }];
      }),
      file,
    );
  }
});

describe('mlx5_vdpa', () => {
  test('a virtual function, as published with the provisioning of features', async () => {
    const machine = describedMachine('mlx5-vf');
    assert.equal(
      await shown(machine, 'mgmtdev show'),
      lines(
        'pci/0000:41:04.2:',
        '  supported_classes net',
        '  max_supported_vqs 65',
        '  dev_features CSUM GUEST_CSUM MTU MAC HOST_TSO4 HOST_TSO6 STATUS CTRL_VQ CTRL_VLAN MQ CTRL_MAC_ADDR VERSION_1 ACCESS_PLATFORM',
      ),
    );
    await shown(machine, 'dev add name vdpa1 mgmtdev pci/0000:41:04.2');
    assert.equal(
      // Their driver did not take MAC, virtio_net does.
      (await shown(machine, 'dev config show')).replace(' MTU MAC ', ' MTU '),
      lines(
        'vdpa1: mac e4:11:c6:d3:45:f0 link up link_announce false max_vq_pairs 1 mtu 1500',
        '  negotiated_features CSUM GUEST_CSUM MTU HOST_TSO4 HOST_TSO6 STATUS CTRL_VQ CTRL_VLAN MQ CTRL_MAC_ADDR VERSION_1 ACCESS_PLATFORM',
      ),
    );
    await shown(machine, 'dev del vdpa1');
    await shown(machine, 'dev add name vdpa1 mgmtdev pci/0000:41:04.2 device_features 0x300020000');
    assert.equal(
      await shown(machine, 'dev config show'),
      lines('vdpa1:', '  negotiated_features CTRL_VQ VERSION_1 ACCESS_PLATFORM'),
    );
    await shown(machine, 'dev del vdpa1');
    // Mail of Si-Wei Liu to the virtualization list, October 2022.
    await shown(machine, 'dev add name vdpa1 mgmtdev pci/0000:41:04.2 max_vqp 7 mtu 2000');
    assert.equal(
      await shown(machine, 'dev show vdpa1'),
      lines('vdpa1: type network mgmtdev pci/0000:41:04.2 vendor_id 5555 max_vqs 15 max_vq_size 256'),
    );
    assert.match(await shown(machine, 'dev config show'), /max_vq_pairs 7 mtu 2000\n/);
  });

  test('a subfunction, as published with the capabilities', async () => {
    const machine = describedMachine('mlx5-sf');
    assert.equal(
      // The features that newer kernels have always.
      (await shown(machine, 'mgmtdev show')).replace(' MAC ', ' ').replace(' CTRL_VLAN ', ' '),
      lines(
        'auxiliary/mlx5_core.sf.1:',
        '  supported_classes net',
        '  max_supported_vqs 257',
        '  dev_features CSUM GUEST_CSUM MTU HOST_TSO4 HOST_TSO6 STATUS CTRL_VQ MQ CTRL_MAC_ADDR VERSION_1 ACCESS_PLATFORM',
      ),
    );
    await shown(machine, 'dev add name vdpa-a mgmtdev auxiliary/mlx5_core.sf.1 max_vqp 16');
    assert.equal(
      (await shown(machine, 'dev config show')).replace(' CTRL_VLAN ', ' '),
      lines(
        'vdpa-a: mac 00:00:00:00:88:88 link up link_announce false max_vq_pairs 16 mtu 1500',
        '  negotiated_features CSUM GUEST_CSUM MTU MAC HOST_TSO4 HOST_TSO6 STATUS CTRL_VQ MQ CTRL_MAC_ADDR VERSION_1 ACCESS_PLATFORM',
      ),
    );
  });

  test('rejects what the driver rejects, in its order', async () => {
    const machine = describedMachine('mlx5-vf');
    const add = 'dev add mgmtdev pci/0000:41:04.2 name';
    await refused(machine, `${add} a device_features 0x300000001000000`, 'kernel answers: Invalid argument');
    await refused(machine, `${add} a device_features VERSION_1`, 'kernel answers: Operation not supported');
    await refused(machine, `${add} a max_vqp 33`, 'kernel answers: Invalid argument');
    await shown(machine, `${add} a max_vqp 32`);
    await refused(machine, `${add} b device_features VERSION_1`, 'kernel answers: No space left on device');
    const [none, pair] = [1, 3].map((max_supported_vqs) => describedMachine('mlx5-vf', { max_supported_vqs }));
    assert.ok(none && pair);
    await refused(none, `${add} a`, 'kernel answers: Resource temporarily unavailable');
    await shown(pair, `${add} a`);
  });

  test('drops MRG_RXBUF unless it is requested, and MAC without an address', async () => {
    const dev_features = ['MAC', 'MRG_RXBUF', 'CTRL_VQ', 'VERSION_1', 'ACCESS_PLATFORM'];
    const machine = describedMachine('mlx5-vf', { dev_features, mac: '00:00:00:00:00:00' });
    const add = 'dev add mgmtdev pci/0000:41:04.2 name a';
    const features = async (): Promise<string> => shown(machine, 'dev features show a');
    await shown(machine, add);
    assert.doesNotMatch(await features(), /MRG_RXBUF|MAC/);
    await shown(machine, 'dev del a');
    await shown(machine, `${add} mac 00:11:22:33:44:55`);
    assert.match(await features(), /MAC/);
    await shown(machine, 'dev del a');
    await shown(machine, `${add} device_features MRG_RXBUF,VERSION_1,ACCESS_PLATFORM`);
    assert.match(await features(), /MRG_RXBUF/);
    await shown(machine, 'dev del a');
    await refused(machine, `${add} device_features MAC,VERSION_1,ACCESS_PLATFORM`, 'kernel answers: Invalid argument');
  });

  test('counts descriptors of queues that run, and of the control queue after the last pair', async () => {
    const machine = describedMachine('mlx5-vf', { vstats: { received_desc: 16, completed_desc: 15 } });
    await shown(machine, 'dev add mgmtdev pci/0000:41:04.2 name a max_vqp 4');
    const stats = (queue: number): Promise<string> => shown(machine, `dev vstats show a qidx ${queue}`);
    assert.match(await stats(1), /received_desc 16 completed_desc 15\n$/);
    // virtio_net sets the number of pairs.
    assert.match(await stats(8), /received_desc 1 completed_desc 1\n$/);
    await refused(
      machine,
      'dev vstats show a qidx 2',
      'Error: mlx5_vdpa: failed to query hardware.',
      'kernel answers: Resource temporarily unavailable',
    );
    await refused(
      machine,
      'dev vstats show a qidx 9',
      'Error: mlx5_vdpa: virtqueue index is not valid.',
      'kernel answers: Invalid argument',
    );
    const idle = withDriver('mlx5-vf', 'vhost_vdpa');
    await shown(idle, 'dev add mgmtdev pci/0000:41:04.2 name a');
    await refused(
      idle,
      'dev vstats show a qidx 0',
      'Error: vdpa: feature negotiation not complete.',
      'kernel answers: Resource temporarily unavailable',
    );
  });

  test('changes the address of a device that no driver runs', async () => {
    const running = describedMachine('mlx5-vf');
    await shown(running, 'dev add mgmtdev pci/0000:41:04.2 name a');
    await refused(running, 'dev set name a mac 00:11:22:33:44:66', 'kernel answers: Device or resource busy');
    const idle = withDriver('mlx5-vf', 'none');
    await shown(idle, 'dev add mgmtdev pci/0000:41:04.2 name a device_features VERSION_1,ACCESS_PLATFORM');
    await shown(idle, 'dev set name a mac 00:11:22:33:44:66');
    assert.match(await shown(idle, 'dev config show a'), /mac 00:11:22:33:44:66/);
  });
});

describe('pds_vdpa', () => {
  const card = { max_supported_vqs: 9, dev_features: ['MAC', 'CTRL_VQ', 'MQ', 'VERSION_1', 'ACCESS_PLATFORM'] };
  const add = 'dev add mgmtdev auxiliary/pds_core.vDPA.1 name';

  test("is found and given a device as in the kernel's documentation", async () => {
    const machine = describedMachine('pds-vdpa');
    // vdpa mgmtdev show | grep vDPA | head -1 | cut -d: -f1
    const listed = (await shown(machine, 'mgmtdev show')).split('\n').find((line) => line.includes('vDPA'));
    await shown(machine, `dev add name vdpa1 mgmtdev ${listed?.split(':')[0] ?? ''} mac 00:11:22:33:44:55`);
    assert.match(await shown(machine, 'dev config show vdpa1'), /^vdpa1: mac 00:11:22:33:44:55\n/);
    assert.match(await shown(machine, 'dev show vdpa1'), /vendor_id 7640 max_vqs 2 /);
  });

  test('nine queues are four pairs and a control queue', async () => {
    const machine = describedMachine('pds-vdpa', card);
    await shown(machine, `${add} a`);
    assert.match(await shown(machine, 'dev show a'), / max_vqs 9 /);
    assert.match(await shown(machine, 'dev config show a'), / max_vq_pairs 4\n/);
    await refused(machine, `${add} b`, 'kernel answers: Operation not supported');
    await shown(machine, 'dev del a');
    await shown(machine, `${add} a max_vqp 2 device_features MQ,VERSION_1,ACCESS_PLATFORM`);
    assert.match(await shown(machine, 'dev show a'), / max_vqs 4 /);
  });

  test('rejects what the driver rejects', async () => {
    const machine = describedMachine('pds-vdpa', card);
    await refused(machine, `${add} a max_vqp 5`, 'kernel answers: No space left on device');
    await refused(machine, `${add} a device_features CSUM`, 'kernel answers: Operation not supported');
    await refused(
      machine,
      `${add} a mtu 1500`,
      'Error: vdpa: Some provided attributes are not supported: 0x2000.',
      'kernel answers: Operation not supported',
      'Not supported by the management device: mtu',
    );
    // Eight queues are four pairs, without one for control.
    const even = describedMachine('pds-vdpa', { ...card, max_supported_vqs: 8 });
    await refused(even, `${add} a`, 'kernel answers: No space left on device');
    await shown(even, `${add} a max_vqp 3`);
    await refused(
      even,
      'dev set name a mac 00:11:22:33:44:66',
      'Error: vdpa: Operation not supported by the device.',
      'kernel answers: Operation not supported',
    );
  });

  test('makes up an address if there is none', async () => {
    const machine = describedMachine('pds-vdpa');
    await shown(machine, `${add} a`);
    const [, mac = ''] = /mac ([0-9a-f:]+)/.exec(await shown(machine, 'dev config show a')) ?? [];
    assert.match(mac, /^.[26ae](:[0-9a-f]{2}){5}$/);
  });
});

describe('ifcvf', () => {
  test('as published with the provisioning of features', async () => {
    const machine = describedMachine('ifcvf');
    assert.equal(
      await shown(machine, 'mgmtdev show pci/0000:01:00.5'),
      lines(
        'pci/0000:01:00.5:',
        '  supported_classes net',
        '  max_supported_vqs 9',
        '  dev_features MTU MAC MRG_RXBUF CTRL_VQ MQ ANY_LAYOUT VERSION_1 ACCESS_PLATFORM',
      ),
    );
    // "link up link_announce false": kernels since 6.1 report the link only with STATUS, which the card does not have.
    await shown(machine, 'dev add name vdpa0 mgmtdev pci/0000:01:00.5');
    const [first] = (await shown(machine, 'dev config show vdpa0')).split('\n');
    assert.equal(first, 'vdpa0: mac 00:e8:ca:11:be:05 max_vq_pairs 4 mtu 1500');
    await shown(machine, 'dev del vdpa0');
    await shown(machine, 'dev add name vdpa0 mgmtdev pci/0000:01:00.5 device_features 0x300020020');
    assert.equal(
      (await shown(machine, 'dev config show vdpa0')).replace('features MAC ', 'features '),
      lines('vdpa0: mac 00:e8:ca:11:be:05', '  negotiated_features CTRL_VQ VERSION_1 ACCESS_PLATFORM'),
    );
  });

  test('has only the features to choose, and queues of at least 64 entries', async () => {
    const machine = describedMachine('ifcvf', { max_vq_size: 1024 });
    const add = 'dev add mgmtdev pci/0000:01:00.5 name';
    for (const [what, mask] of [
      ['mac 00:11:22:33:44:55', '0x400'],
      ['mtu 1500', '0x2000'],
      ['max_vqp 2', '0x1000'],
    ] as const) {
      await refused(
        machine,
        `${add} a ${what}`,
        `Error: vdpa: Some provided attributes are not supported: ${mask}.`,
        'kernel answers: Operation not supported',
        `Not supported by the management device: ${what.split(' ')[0] ?? ''}`,
      );
    }
    await refused(machine, `${add} a device_features CSUM`, 'kernel answers: Invalid argument');
    await shown(machine, `${add} a`);
    await shown(machine, `${add} b`);
    const client = await machine.client();
    const { vendorId, maxVirtqueues, maxVirtqueueSize, minVirtqueueSize } = await client.device('a');
    await client.close();
    assert.deepEqual([vendorId, maxVirtqueues, maxVirtqueueSize, minVirtqueueSize], [0x8086, 9, 1024, 64]);
    await refused(machine, 'dev vstats show a qidx 0', 'kernel answers: Operation not supported');
  });

  test('a block device has a capacity', async () => {
    const machine = describedMachine('ifcvf', {
      supported_classes: ['block'],
      dev_features: ['VERSION_1', 'ACCESS_PLATFORM'],
      capacity: 2048,
    });
    await shown(machine, 'dev add mgmtdev pci/0000:01:00.5 name a');
    assert.match(await shown(machine, 'dev show a'), /^a: type block /);
    assert.match(await shown(machine, 'dev config show a'), /capacity 2048 /);
  });
});

describe('vp_vdpa', () => {
  test("as published for a network device of QEMU's", async () => {
    const machine = describedMachine('vp-vdpa');
    // Published with bit_40, bit_54, bit_55 and bit_56.
    const published = lines(
      'pci/0000:00:04.0:',
      '  supported_classes net',
      '  max_supported_vqs 3',
      '  dev_features CSUM GUEST_CSUM CTRL_GUEST_OFFLOADS MAC GUEST_TSO4 GUEST_TSO6 GUEST_ECN GUEST_UFO HOST_TSO4 HOST_TSO6 HOST_ECN HOST_UFO MRG_RXBUF STATUS CTRL_VQ CTRL_RX CTRL_VLAN CTRL_RX_EXTRA GUEST_ANNOUNCE CTRL_MAC_ADDR RING_INDIRECT_DESC RING_EVENT_IDX VERSION_1 ACCESS_PLATFORM RING_RESET GUEST_USO4 GUEST_USO6 HOST_USO',
    );
    assert.equal(await shown(machine, 'mgmtdev show'), published);
    await shown(machine, 'dev add name vdpa0 mgmtdev pci/0000:00:04.0');
    assert.equal(
      await shown(machine, 'dev show -jp'),
      lines(
        '{',
        '    "dev": {',
        '        "vdpa0": {',
        '            "type": "network",',
        '            "mgmtdev": "pci/0000:00:04.0",',
        '            "vendor_id": 6900,',
        '            "max_vqs": 3,',
        '            "max_vq_size": 256',
        '        }',
        '    }',
        '}',
      ),
    );
  });
});

describe('octep_vdpa', () => {
  test('requires packed virtqueues and notification data', async () => {
    const machine = describedMachine('octep-vdpa');
    const add = 'dev add mgmtdev pci/0000:01:00.1 name a';
    for (const features of ['VERSION_1,RING_PACKED', 'VERSION_1,NOTIFICATION_DATA', 'RING_PACKED,NOTIFICATION_DATA']) {
      await refused(machine, `${add} device_features ${features}`, 'kernel answers: Operation not supported');
    }
    await refused(machine, `${add} device_features CTRL_VQ`, 'kernel answers: Invalid argument');
    await shown(machine, `${add} device_features VERSION_1,RING_PACKED,NOTIFICATION_DATA`);
    assert.match(await shown(machine, 'dev show a'), /vendor_id 6013 max_vqs 2 /);
  });
});

test('a description of a card has what its driver leaves to the card, and nothing else', () => {
  const card = { driver: 'mlx5_vdpa', max_supported_vqs: 3, dev_features: ['VERSION_1', 'ACCESS_PLATFORM'] };
  for (const [more, complaint] of [
    [{ dev_features: undefined }, '/mgmtdev/pci/x/dev_features is required by mlx5_vdpa'],
    [{ max_supported_vqs: undefined }, '/mgmtdev/pci/x/max_supported_vqs is required by mlx5_vdpa'],
    [{ vendor_id: 1 }, '/mgmtdev/pci/x/vendor_id is not supported by mlx5_vdpa'],
    [{ config_attributes: ['mac'] }, '/mgmtdev/pci/x/config_attributes is not supported by mlx5_vdpa'],
    [{ vstats: { packets: 1 } }, '/mgmtdev/pci/x/vstats/packets is not a counter of mlx5_vdpa'],
    [{ supported_classes: ['block'] }, '/mgmtdev/pci/x/supported_classes must be one type that mlx5_vdpa supports'],
    [{ driver: 'vp_vdpa', max_vq_size: 512 }, '/mgmtdev/pci/x/max_vq_size is not supported by vp_vdpa'],
    [{ driver: 'ifcvf', vstats: {} }, '/mgmtdev/pci/x/vstats is not supported by ifcvf'],
    [{ driver: 'pds_vdpa', capacity: 1 }, '/mgmtdev/pci/x/capacity is not supported by pds_vdpa'],
  ] as const) {
    const text = JSON.stringify({ mgmtdev: { 'pci/x': { ...card, ...more } } });
    assert.throws(() => parseMachine(text, 'it'), {
      name: 'SimulationError',
      message: `it is not a valid machine description: ${complaint}. See schemas/sim-machine.schema.json.`,
    });
  }
});
