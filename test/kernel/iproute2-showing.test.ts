/** Commands that show devices, in every form, compared with iproute2's vdpa: output, errors, status. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { needsReference, startFrom } from '../support/kernel/lab/compare.js';
import { compareChanging, compareReading, compared, type Line } from '../support/kernel/lab/differential.js';
import { BLOCK, foo0, inAllModes, NET } from '../support/kernel/lab/line-variants.js';

/** Sets of devices to compare on, by what is special about them. */
const states: Readonly<Record<string, readonly string[]>> = {
  'no device': [],
  'a network device': foo0,
  'network devices of all kinds': [
    `${NET} foo0`,
    `${NET} foo1 mac 02:00:00:00:00:01`,
    `${NET} foo2 mtu 68`,
    // The driver accepts no feature, or there is no driver.
    `${NET} foo3 device_features 0`,
    `${NET} foo4 driver vhost`,
    `${NET} foo5 device_features 300020020`,
  ],
  'network and block devices': [`${BLOCK} foo0`, `${NET} bar`, `${BLOCK} blk1`],
};

/** Names that are hard to print, and that iproute2 prints correctly in text and JSON. */
const hardNames = ['a b', 'a"b\\c', 'x\ny\tz', '\r\f\b', 'é漢😀', '%s%n%d', 'help', '.', '..', 'a'.repeat(63)];

/** Others, which are correct only in text: in JSON it prints control characters, and bytes that are not UTF-8, as they are. */
const hardNamesOfText = ['\u0001\u001b[1m\u007f', 'a\udcffb\udcc3('];

const showing = ['mgmtdev show', 'dev show', 'dev config show'];

describe("each line prints what iproute2's prints", needsReference, () => {
  for (const [name, given] of Object.entries(states)) {
    test(`commands that show, with ${name}`, async () => {
      await startFrom(given);
      const isMixed = given.some((line) => line.startsWith(BLOCK));
      await compareReading(
        inAllModes([
          'mgmtdev list',
          'mgmtdev show vdpasim_net',
          'mgmtdev show vdpasim_blk',
          'mgmtdev list vduse',
          'dev',
          'dev list',
          'dev list foo0',
          // iproute2 does not show the configuration of block devices.
          ...(isMixed
            ? ['mgmtdev show', 'dev show', 'dev config show bar']
            : [...showing, 'dev config', 'dev config show foo0']),
          ...['mgmtdev show', 'dev show', 'dev config show', 'dev vstats show'].map((line) => `${line} nosuch`),
          'dev vstats show foo0',
          // The receive and transmit queues that iproute2 names correctly, and some that do not exist.
          ...['1', '3', '65535', '65536', '4294967295'].map((index) => `dev vstats show foo0 qidx ${index}`),
          'dev vstats show nosuch qidx 0',
          'dev vstats show bar qidx 1',
        ]),
      );
    });
  }

  test('names that are hard to print', async () => {
    const adding = (name: string): string[] => ['dev', 'add', 'mgmtdev', 'vdpasim_net', 'name', name];
    await compareChanging([...hardNames, ...hardNamesOfText].map(adding));
    const reading = (name: string): Line[] => [
      ['dev', 'show', name],
      ['dev', 'config', 'show', name],
      ['dev', 'vstats', 'show', name, 'qidx', '1'],
    ];
    const refused = (name: string): Line[] => [
      ['mgmtdev', 'show', name],
      [`${name}!`],
      ['dev', `${name}!`],
      ['dev', 'show', 'foo0', name, 'x'],
      [`--${name.replaceAll('.', '!')}`],
    ];
    await startFrom(hardNames.map(adding));
    await compareReading(inAllModes(['dev show', 'dev config show', ...hardNames.flatMap(reading)]));
    await compareReading(hardNames.flatMap(refused));
    await startFrom(hardNamesOfText.map(adding));
    await compareReading(['dev show', 'dev config show', ...hardNamesOfText.flatMap(reading)]);
    await compareReading(hardNamesOfText.flatMap(refused));
  });

  test('a name with a slash', async () => {
    await compareChanging([`${NET} a/b`, `-j ${NET} a/b`]);
    await startFrom([`${NET} a/b`]);
    await compareReading(inAllModes(['dev show', 'dev show a/b', 'dev show a!b', 'dev del a/b']));
  });

  test('thousands of lines are compared', (context) => {
    context.diagnostic(`${compared} command lines compared with iproute2's`);
    assert.ok(compared >= 550);
  });
});
