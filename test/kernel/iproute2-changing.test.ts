/** Commands that change devices, compared with iproute2's vdpa: output, errors, status, and the resulting devices. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { needsReference, startFrom } from '../support/kernel/lab/compare.js';
import { compareChanging, compareReading, compared, wordsOf, type Line } from '../support/kernel/lab/differential.js';
import { BLOCK, foo0, inBothModes, NET } from '../support/kernel/lab/line-variants.js';

describe("each line prints what iproute2's prints", needsReference, () => {
  test('adding', async () => {
    await compareChanging([
      ...inBothModes([
        `${NET} foo0`,
        'dev add name foo0 mgmtdev vdpasim_net',
        'dev add mtu 1400 name foo0 mac 02:00:00:00:00:01 mgmtdev vdpasim_net',
        'dev add mgmtdev nosuch name foo0',
        'dev add mgmtdev pci/0000:03:00.2 name foo0',
        'dev add mgmtdev a/b/c name foo0',
        'dev add',
        'dev add mgmtdev vdpasim_net',
        'dev add name foo0',
        `${NET} foo0 max_vqp 2`,
        `${NET} foo0 mtu 67`,
      ]),
      `${BLOCK} foo0`,
      `${NET} foo0 name foo1 mgmtdev vdpasim_blk`,
      `${NET} foo0 mac 02:00:00:00:00:01 mac 02:00:00:00:00:02`,
      'dev add mgmtdev /vdpasim_net name foo0',
      'dev add mgmtdev vdpasim_net/ name foo0',
      'dev add mgmtdev / name foo0',
      'dev add mgmtdev // name foo0',
      ['dev', 'add', 'mgmtdev', '', 'name', 'foo0'],
      ['dev', 'add', 'mgmtdev', 'vdpasim_net', 'name', ''],
      ['dev', 'add', '', 'x', 'name', 'foo0', 'mgmtdev', 'vdpasim_net'],
      'dev add mgmtdev',
      'dev add name',
      'dev add junk',
      'dev add mac',
      'dev add mgmtdev name',
      'dev add mgmtdev vdpasim_net name',
      `${NET} foo0 junk 1`,
      `junk 1 ${NET} foo0`,
      `${NET} foo0 qidx 1`,
      `${NET} foo0 MTU 1400`,
    ]);
  });

  test('adding with numbers', async () => {
    const spaced = (keyword: string, value: string): Line => [...wordsOf(`${NET} foo0`), keyword, value];
    await compareChanging([
      ...['0', '67', '68', '1500', '9000', '65535', '00001500', '+1500', ' 1500', '\t\n\v\f\r +1500'].map((value) =>
        spaced('mtu', value),
      ),
      ...['0', '1', '2', '65535', ' +1'].map((value) => spaced('max_vqp', value)),
      ...['0', '300020020', '0x300020020', '0X300020020', '000000000000000300020020', ' +0x300020020'].map((value) =>
        spaced('device_features', value),
      ),
      ...['1', '8', '20', '10000', '123', 'ffffffffffffffff', '0000000000000000000000000000', '100000000'].map(
        (value) => spaced('device_features', value),
      ),
      `${BLOCK} foo0 mtu 1500`,
      `${BLOCK} foo0 mac 02:00:00:00:00:01`,
      `${BLOCK} foo0 device_features 300000000`,
    ]);
  });

  test('adding with addresses', async () => {
    const macs = ['02:00:00:00:00:01', '2:0:0:0:0:1', 'AA:bb:Cc:0D:e:f', '00:00:00:00:00:00', '01:00:5e:00:00:01'];
    const refused = [
      '',
      'x',
      'zz:11:22:33:44:55',
      '00:11:22:33:44:',
      '00:11:22:33:44:100',
      '00:11:22:33:44:zz',
      ':',
      '::::::',
    ];
    const addresses = ['1.2.3.400', '1.2.3.4.5', '1.x', '.'];
    const words = wordsOf(`${NET} foo0 mac`);
    await compareChanging([...macs, ...refused, ...addresses].map((mac) => [...words, mac]));
    await compareChanging([`${NET} foo0 mac 00:11 junk 1`, 'dev add mac 00:11', 'dev add mac 1x name a']);
  });

  test('adding what exists, deleting and changing', async () => {
    const mac = 'mac 02:00:00:00:00:01';
    await compareChanging(
      [
        ...inBothModes([
          `${NET} foo0`,
          'dev del foo0',
          'dev del nosuch',
          'dev del',
          `dev set name foo0 ${mac}`,
          `dev set name nosuch ${mac}`,
          'dev set name foo0 mac 01:00:00:00:00:01',
          'dev set',
        ]),
        'd d foo0',
        'd de foo0',
        `dev set ${mac} name foo0`,
        `dev set name x name foo0 ${mac}`,
        'dev set name foo0',
        'dev set name foo0 mac 00:00:00:00:00:00',
        'dev set name foo0 mac zz',
        'dev set name foo0 mtu 1500',
        'dev set name foo0 mgmtdev vdpasim_net',
        'dev set foo0',
        `dev set foo0 ${mac}`,
        'dev set name',
        'dev set mac',
        `dev set ${mac}`,
        ['dev', 'del', ''],
        ['dev', 'set', 'name', '', 'mac', '02:00:00:00:00:01'],
      ],
      [`${NET} foo0`],
    );
    await compareChanging([`dev set name blk ${mac}`, 'dev del blk'], [`${BLOCK} blk`]);
  });

  test('missing or extra words that iproute2 rejects', async () => {
    await startFrom(foo0);
    await compareReading(
      inBothModes([
        'dev show foo0 x y',
        'dev config show foo0 x y',
        'mgmtdev show vduse x y',
        'mgmtdev show a/b/c',
        'mgmtdev show a/b/c x y',
        'mgmtdev show /',
        'mgmtdev show vduse/',
        'mgmtdev show /vduse',
        'dev vstats show',
        'dev vstats show foo0 x 1',
        'dev vstats show foo0 qid 1',
        'dev vstats show foo0 qidx',
        'dev vstats show foo0 qidx 1 qidx 1',
        'dev vstats show foo0 qidx 1 x',
        'dev del foo0 x y',
        ['dev', 'show', ''],
        ['dev', 'config', 'show', ''],
        ['mgmtdev', 'show', ''],
        ['dev', 'vstats', 'show', '', 'qidx', '1'],
        ['dev', 'vstats', 'show', 'foo0', 'qidx', ' +1'],
        ['dev', 'vstats', 'show', 'foo0', '', ''],
      ]),
    );
  });

  test('thousands of lines are compared', (context) => {
    context.diagnostic(`${compared} command lines compared with iproute2's`);
    assert.ok(compared >= 150);
  });
});
