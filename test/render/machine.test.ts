import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { VdpaEvent } from '../../src/host/events.js';
import type { HostReport } from '../../src/host/report.js';
import { renderDetails } from '../../src/render/details.js';
import { renderEvent } from '../../src/render/event.js';
import { renderHost } from '../../src/render/host.js';
import { JsonPrinter } from '../../src/render/json.js';
import { Output } from '../../src/render/output.js';
import type { Printer } from '../../src/render/printer.js';
import { renderSimulation } from '../../src/render/simulation.js';
import { TextPrinter } from '../../src/render/text.js';
import type { SimState } from '../../src/sim/state/model.js';
import { defaultMachine } from '../../src/sim/state/default-machine.js';
import { bootState } from '../../src/sim/state/model.js';

function print(create: (output: Output) => Printer, render: (printer: Printer) => void): string {
  let text = '';
  const printer = create(
    new Output((part) => {
      text += part;
    }),
  );
  render(printer);
  printer.finish();
  return text;
}
const asText = (render: (printer: Printer) => void): string => print((output) => new TextPrinter(output), render);
const asJson = (render: (printer: Printer) => void): unknown =>
  JSON.parse(print((output) => new JsonPrinter(output, { pretty: false }), render));

const bare: HostReport = {
  kernel: '6.1.0',
  family: { present: false, advice: 'modprobe vdpa' },
  modules: [{ name: 'vdpa', state: 'available', purpose: 'the bus', advice: 'modprobe vdpa' }],
  managementDevices: [],
  busDrivers: [],
  vduse: { present: false, advice: 'modprobe vduse' },
  vhostNodes: [],
  iommu: { present: false, advice: 'modprobe iommufd' },
  capabilities: { netAdmin: false, dacOverride: true, initialUserNamespace: false },
  advice: ['modprobe vdpa', 'Run it as root'],
};

describe('a report on the machine', () => {
  test('of one that lacks everything has advice for each part', () => {
    const text = asText((printer) => {
      renderHost(printer, bare);
    });
    assert.match(text, /^machine: kernel 6\.1\.0 ready false\n/);
    for (const [part, advice] of [
      ['vdpa_family', 'modprobe vdpa'],
      ['vduse', 'modprobe vduse'],
      ['iommu', 'modprobe iommufd'],
    ] as const) {
      assert.match(text, new RegExp(`^${part}: present false; ${advice}$`, 'm'));
    }
    assert.match(text, /vdpa available: the bus; modprobe vdpa/);
    assert.match(text, /net_admin false dac_override true initial_user_namespace false/);
  });

  test('of one that is ready lists what exists', () => {
    const report: HostReport = {
      ...bare,
      advice: [],
      modules: [{ name: 'vdpa', state: 'loaded', purpose: 'the bus' }],
      managementDevices: [{ handle: 'pci/0000:03:00.2', supportedClasses: (1n << 1n) | (1n << 2n) }],
      busDrivers: ['vhost_vdpa', 'virtio_vdpa'],
      vduse: { present: true, apiVersion: 1n, features: 3n },
      vhostNodes: [{ node: '/dev/vhost-vdpa-0', device: 'foo0' }],
      iommu: { present: true, ranges: [{ start: 0n, last: 0xfedf_ffffn }], alignment: 4096n },
    };
    const { host: json } = asJson((printer) => {
      printer.openSection('host');
      renderHost(printer, report);
      printer.closeSection();
    }) as { readonly host: Record<string, unknown> };
    assert.deepEqual(json['machine'], { kernel: '6.1.0', ready: true });
    assert.deepEqual(json['vduse'], { present: true, node: '/dev/vduse/control', api_version: 1, features: '0x3' });
    assert.deepEqual(json['iommu'], {
      present: true,
      node: '/dev/iommu',
      iova_alignment: 4096,
      iova_ranges: ['0x0-0xfedfffff'],
    });
    assert.deepEqual(json['mgmtdev'], [{ name: 'pci/0000:03:00.2', classes: 'net,block' }]);
    assert.deepEqual(json['vhost'], [{ node: '/dev/vhost-vdpa-0', device: 'foo0' }]);
    assert.deepEqual(json['module'], [{ name: 'vdpa', state: 'loaded', purpose: 'the bus' }]);
    assert.equal('advice' in json && (json['advice'] as unknown[]).length > 0, false);
  });
});

describe('details of a device', () => {
  const text = (details: Parameters<typeof renderDetails>[1]): string =>
    asText((printer) => {
      printer.openRecord('foo0');
      renderDetails(printer, details);
      printer.closeRecord();
    });

  test('without a driver say so', () => {
    assert.match(text({ device: { name: 'foo0' }, users: [] }), /driver \(none\)/);
  });

  test('name its node, and each user with what is known about it', () => {
    const shown = text({
      device: { name: 'foo0', driver: 'vhost_vdpa', driverOverride: 'vhost_vdpa', vhost: 'vhost-vdpa-0' },
      users: [
        { kind: 'process', pid: 42, command: 'qemu', node: '/dev/vhost-vdpa-0' },
        { kind: 'unknown', node: '/dev/vhost-vdpa-0' },
      ],
    });
    assert.match(shown, /driver vhost_vdpa driver_override vhost_vdpa vhost \/dev\/vhost-vdpa-0\n/);
    assert.match(shown, /user: process pid 42 command qemu node \/dev\/vhost-vdpa-0\n/);
    assert.match(shown, /user: unknown node \/dev\/vhost-vdpa-0\n/);
  });

  test('name its disk or interface, its parent device, and candidates if it is uncertain', () => {
    const shown = text({
      device: {
        name: 'foo0',
        driver: 'virtio_vdpa',
        virtio: 'virtio3',
        virtioDriver: 'virtio_blk',
        block: 'vda',
        parent: { subsystem: 'pci', name: '0000:03:00.2' },
        pci: '0000:03:00.2',
        numaNode: 1,
      },
      users: [{ kind: 'mount', disk: 'vda1', mountPoint: '/srv' }],
    });
    assert.match(shown, /virtio virtio3 virtio_driver virtio_blk block \/dev\/vda/);
    assert.match(shown, /parent pci\/0000:03:00\.2 pci 0000:03:00\.2 numa_node 1\n/);
    assert.match(shown, /user: mount disk vda1 mount_point \/srv\n/);
    const unsure = text({
      device: {
        name: 'foo0',
        driver: 'virtio_vdpa',
        virtioCandidates: [{ virtio: 'virtio1' }, { virtio: 'virtio2', netdev: 'eth1' }],
      },
      users: [],
    });
    assert.match(unsure, /virtio_candidates virtio1,virtio2/);
  });
});

describe('events', () => {
  const time = 1_700_000_000_000_042;
  const device = { name: 'foo0', managementDevice: 'pci/0000:03:00.2', deviceId: 1 };
  const cases: readonly (readonly [VdpaEvent, string])[] = [
    [
      { object: 'dev', event: 'added', name: 'foo0', time, device },
      'dev foo0: added type network mgmtdev pci/0000:03:00.2',
    ],
    [{ object: 'dev', event: 'added', name: 'gone', time }, 'dev gone: added'],
    [{ object: 'dev', event: 'removed', name: 'foo0', time }, 'dev foo0: removed'],
    [
      { object: 'dev', event: 'bound', name: 'foo0', time, driver: 'vhost_vdpa', vhost: 'vhost-vdpa-0' },
      'dev foo0: bound driver vhost_vdpa vhost /dev/vhost-vdpa-0',
    ],
    [{ object: 'dev', event: 'unbound', name: 'foo0', time }, 'dev foo0: unbound'],
    [{ object: 'mgmtdev', event: 'added', time, device: { handle: 'vdpasim_net' } }, 'mgmtdev vdpasim_net: added'],
  ];
  for (const [event, line] of cases) {
    test(line, () => {
      const plain = asText((printer) => {
        renderEvent(printer, event, { timestamp: false });
      });
      assert.equal(plain, `${line}\n`);
      const stamped = asText((printer) => {
        renderEvent(printer, event, { timestamp: true });
      });
      assert.match(stamped, /^Timestamp: .* 42 usec\n/);
      assert.ok(stamped.endsWith(`\n${line}\n`));
      const json = asJson((printer) => {
        renderEvent(printer, event, { timestamp: false });
      }) as Record<string, unknown>;
      assert.equal(json['event'], event.event);
      assert.equal('timestamp' in json, false);
    });
  }
});

test('the simulated machine: its devices, its faults, and how often those with a count have occurred', () => {
  const booted = bootState({
    ...defaultMachine,
    faults: [
      { command: 'dev add', errno: 'ENOSPC', message: 'full', times: 2 },
      { command: 'dev show', delay: 5 },
    ],
  });
  const state: SimState = { ...booted, devices: [{ name: 'foo0', mgmtdev: 'vdpasim_net' }], fault_hits: [1, 7] };
  const text = asText((printer) => {
    renderSimulation(printer, '/tmp/state.json', state);
  });
  assert.match(text, /^machine: state \/tmp\/state\.json uid \d+ bus_driver \w+ devices 1\n/);
  assert.match(text, /vdpasim_net driver vdpasim_net devices 1\n/);
  assert.match(text, /dev add errno "ENOSPC" message "full" times 2 hits 1\n/);
  assert.match(text, /dev show delay 5\n/);
});
