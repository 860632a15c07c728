/**
 * Management devices on a bus (PCI devices of vp_vdpa), compared with iproute2's vdpa: output, errors, status, and the resulting
 * devices.
 */
import '../../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { needsReference, ours, reference, startFrom } from '../../support/kernel/lab/compare.js';
import { compareChanging, compareReading, compared, type Line } from '../../support/kernel/lab/differential.js';
import type { FeatureClass } from '../../support/kernel/lab/feature-names.js';
import { featureNames } from '../../support/kernel/lab/feature-names.js';
import { inAllModes, inBothModes, shortened } from '../../support/kernel/lab/line-variants.js';
import { testsWith, VP_VDPA } from '../../support/kernel/lab/needs.js';
import type { PciAddress } from '../../support/kernel/drivers/vp-vdpa.js';
import { bindVpVdpa, PCI } from '../../support/kernel/drivers/vp-vdpa.js';

const { before, test } = testsWith(VP_VDPA);

const handle = (address: PciAddress): string => `pci/${address}`;

const MANY = handle(PCI.netOfSeveralPairs);
const DISK = handle(PCI.block);
const NET = handle(PCI.net);
const MTU = handle(PCI.netWithMtu);
const RNG = handle(PCI.rng);

/** Adds a device. Never ask this kernel's vp_vdpa for a second one on the same management device. */
const add = (mgmtdev: string, name: string): string => `dev add mgmtdev ${mgmtdev} name ${name}`;

const ALL = [add(MANY, 'many'), add(DISK, 'disk'), add(NET, 'net'), add(MTU, 'mtu'), add(RNG, 'rng')];
const ALL_BUT_THE_DISK = ALL.filter((line) => line !== ALL[1]);

/** Options of iproute2, and one that it does not know. */
const MODES = [[], ['-j'], ['-p'], ['-jp'], ['--json', '--pretty'], ['-s']] as const;

/** Turns automatic probing of new devices on or off. Without a driver, adding takes a tenth of the time. */
function probe(isOn: boolean): void {
  writeFileSync('/sys/bus/vdpa/drivers_autoprobe', isOn ? '1' : '0');
}

before(() => {
  bindVpVdpa();
});

test('features of PCI devices have names here, and numbers in iproute2', needsReference, async () => {
  const argv = ['mgmtdev', 'show'];
  const [theirs, own] = [reference(argv).stdout, (await ours(argv)).stdout];
  const part = (output: string, name: string): string =>
    output.split(/^(?=\S)/m).find((one) => one.startsWith(`${name}: `)) ?? assert.fail(`${name} is missing`);
  const classes: readonly (readonly [string, FeatureClass])[] = [
    [DISK, 'block'],
    [RNG, 'others'],
  ];
  for (const [mgmtdev, name] of classes) {
    for (const [number, word] of featureNames.get(name) ?? []) {
      assert.match(part(theirs, mgmtdev), new RegExp(` ${number}( |$)`, 'm'));
      assert.match(part(own, mgmtdev), new RegExp(` ${word}( |$)`, 'm'));
    }
  }
});

test('commands that show management devices', needsReference, async () => {
  await startFrom([]);
  await compareReading(
    inAllModes(
      [
        'mgmtdev',
        'mgmtdev show',
        'mgmtdev list',
        ...[MANY, DISK, NET, MTU, RNG].map((mgmtdev) => `mgmtdev show ${mgmtdev}`),
        `mgmtdev list ${DISK}`,
        `mgmtdev show ${DISK} ${NET} ${RNG}`,
      ],
      MODES,
    ),
  );
  await compareReading(
    inBothModes([
      ...[
        'pci/0000:00:1f.7',
        'pci/0000:00:5.0',
        'pci/00:05.0',
        '0000:00:05.0',
        '/0000:00:05.0',
        'pci/',
        'pci',
        'pci//0000:00:05.0',
        'pci/0000:00:05.0/',
        'pci/0000:00:05.0/x',
        'PCI/0000:00:05.0',
        'usb/0000:00:05.0',
        'nosuchbus/vdpasim_net',
        'pci/vdpasim_net',
        '/vdpasim_net',
      ].map((name) => `mgmtdev show ${name}`),
      ['mgmtdev', 'show', `${DISK} `],
      ...shortened(`mgmtdev show ${DISK}`, DISK),
    ]),
  );
});

for (const isBound of [true, false]) {
  test(`commands that show devices, ${isBound ? 'with' : 'without'} a driver`, needsReference, async () => {
    probe(isBound);
    await startFrom(ALL);
    await compareReading(
      inAllModes(
        [
          'dev',
          'dev show',
          'dev list',
          'mgmtdev show',
          ...['many', 'disk', 'net', 'mtu', 'rng'].map((name) => `dev show ${name}`),
          // iproute2 does not show the configuration of block devices, and the kernel has none for other classes.
          ...['many', 'net', 'mtu', 'rng', 'nosuch'].map((name) => `dev config show ${name}`),
          ...['many', 'disk', 'net', 'mtu', 'rng'].map((name) => `dev vstats show ${name} qidx 0`),
        ],
        MODES,
      ),
    );
    await compareReading(
      inBothModes([
        ...['many qidx 7', 'many qidx 8', 'net qidx 1', 'net qidx 65535', 'rng qidx 1', 'disk', 'nosuch qidx 0'].map(
          (words) => `dev vstats show ${words}`,
        ),
        `dev show ${DISK}`,
        'dev show disk net mtu',
        'dev config show net mtu rng',
      ]),
    );
    await startFrom(ALL_BUT_THE_DISK);
    await compareReading(inAllModes(['dev show', 'dev config', 'dev config show', 'dev config list'], MODES));
  });
}

test('adding to each management device, with each option', needsReference, async () => {
  probe(false);
  const lines = [MANY, DISK, NET, MTU, RNG].flatMap((mgmtdev) =>
    [
      '',
      ' mac 02:00:00:00:00:01',
      ' mac 00:00:00:00:00:00',
      ' mtu 1500',
      ' mtu 10',
      ' max_vqp 1',
      ' max_vqp 0',
      ' max_vqp 2 mac 02:00:00:00:00:01 mtu 1500',
      ' device_features 0',
      // VERSION_1, with and without ACCESS_PLATFORM.
      ' device_features 0x100000000',
      ' device_features 300000000',
      // More than the device has.
      ' device_features ffffffffffffffff',
      ' device_features 100000020 mac 02:00:00:00:00:01',
      ' device_features 300020020 mtu 1500 max_vqp 2',
    ].map((words) => `${add(mgmtdev, 'foo0')}${words}`),
  );
  await compareChanging(lines);
  await compareChanging(inAllModes(lines.slice(0, 3), [['-j']]));
});

test('adding an invalid device, or to a missing management device', needsReference, async () => {
  probe(false);
  await compareChanging(
    inBothModes([
      ...[
        'pci/0000:00:1f.7',
        'pci/0000:00:5.0',
        '0000:00:05.0',
        '/0000:00:05.0',
        'pci/',
        'pci',
        'pci/0000:00:06.0/',
        'usb/0000:00:06.0',
        'pci/vdpasim_net',
      ].map((mgmtdev) => add(mgmtdev, 'foo0')),
      ['dev', 'add', 'mgmtdev', DISK, 'name', ''],
      `dev add mgmtdev ${DISK}`,
      `dev add name foo0 mgmtdev ${DISK}`,
      `dev add mgmtdev ${NET} name foo0 mgmtdev ${DISK}`,
      `${add(DISK, 'foo0')} name foo1`,
      `${add(DISK, 'foo0')} junk 1`,
      add(DISK, DISK),
      add(DISK, 'x'.repeat(63)),
    ]),
  );
  // A name that already exists on another management device.
  await compareChanging(inBothModes([add('vdpasim_net', 'foo0')]), [add(DISK, 'foo0')]);
});

test('changing and deleting each device', needsReference, async () => {
  probe(false);
  const named = (name: string): Line[] => [
    `dev set name ${name} mac 02:00:00:00:00:01`,
    `dev set name ${name} mac 00:00:00:00:00:00`,
    `dev set name ${name}`,
    `dev del ${name}`,
  ];
  for (const [mgmtdev, name] of [
    [MANY, 'many'],
    [DISK, 'disk'],
    [NET, 'net'],
    [MTU, 'mtu'],
    [RNG, 'rng'],
  ] as const) {
    await compareChanging(inBothModes(named(name)), [add(mgmtdev, name)]);
  }
  await compareChanging(inBothModes([...named('nosuch'), ...named(DISK), 'dev del', ['dev', 'del', '']]), [
    add(DISK, 'disk'),
  ]);
});

test('a device that its driver uses is deleted', needsReference, async () => {
  probe(true);
  for (const [mgmtdev, name] of [
    [DISK, 'disk'],
    [NET, 'net'],
  ] as const) {
    await compareChanging([`dev del ${name}`, add(MTU, 'mtu')], [add(mgmtdev, name)]);
  }
});

test('thousands of lines are compared', needsReference, (context) => {
  context.diagnostic(`${compared} command lines compared with iproute2's`);
  assert.ok(compared >= 500, String(compared));
});
