/** Every command in every form, against iproute2's vdpa: output, errors, status, and what is left of the devices. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { needsReference, startFrom } from '../support/kernel/compare.js';
import { compareChanging, compareReading, compared, wordsOf, type Line } from '../support/kernel/differential.js';

const NET = 'dev add mgmtdev vdpasim_net name';
const BLOCK = 'dev add mgmtdev vdpasim_blk name';

/** Devices to compare on, by what is special of them. */
const states: Readonly<Record<string, readonly string[]>> = {
  'no device': [],
  'a network device': [`${NET} foo0 mac 00:11:22:33:44:55 mtu 9000`],
  'network devices of all kinds': [
    `${NET} foo0`,
    `${NET} foo1 mac 02:00:00:00:00:01`,
    `${NET} foo2 mtu 68`,
    // The driver accepts nothing, or there is no driver.
    `${NET} foo3 device_features 0`,
    `${NET} foo4 driver vhost`,
    `${NET} foo5 device_features 300020020`,
  ],
  'network and block devices': [`${BLOCK} foo0`, `${NET} bar`, `${BLOCK} blk1`],
};

/** Names that are hard to print, and that iproute2 prints right in text and JSON. */
const hardNames = ['a b', 'a"b\\c', 'x\ny\tz', '\r\f\b', 'é漢😀', '%s%n%d', 'help', '.', '..', 'a'.repeat(63)];

/** Others, which are right in text alone: it prints control characters, and bytes that are no UTF-8, in JSON as they are. */
const hardNamesOfText = ['\u0001\u001b[1m\u007f', 'a\udcffb\udcc3('];

/** Each line in each mode of output. */
function* inAllModes(
  all: Iterable<Line>,
  modes: readonly (readonly string[])[] = [[], ['-j'], ['-p'], ['-jp']],
): Generator<Line> {
  for (const line of all) for (const mode of modes) yield [...mode, ...wordsOf(line)];
}

/** Each line as text and as JSON. */
const inBothModes = (all: Iterable<Line>): Iterable<Line> => inAllModes(all, [[], ['-j']]);

/** A line with words put in at each place. */
function* atEachPlace(line: string, ...more: string[]): Generator<string[]> {
  const words = line.split(' ');
  for (let at = 0; at <= words.length; at++) yield [...words.slice(0, at), ...more, ...words.slice(at)];
}

/** A line with each beginning of one of its words. */
function* shortened(line: string, word: string): Generator<Line> {
  for (let length = 0; length <= word.length; length++) {
    yield wordsOf(line).map((each) => (each === word ? word.slice(0, length) : each));
  }
}

const showing = ['mgmtdev show', 'dev show', 'dev config show'];

describe("each line gives what iproute2's gives", needsReference, () => {
  for (const [name, given] of Object.entries(states)) {
    test(`what shows, with ${name}`, async () => {
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
          // The receive and transmit queues that iproute2 names right, and some that there are not.
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

  test('help, and words that are no command', async () => {
    await startFrom([]);
    await compareReading(
      inBothModes([
        [],
        'help',
        'mgmtdev',
        'mgmtdev help',
        'dev config help',
        'dev vstats help',
        'dev vstats',
        'dev vstats h',
        'dev vstats sho',
        'dev vstats list x',
        'dev config list',
        'dev config x',
        'mgmtdev add',
        'mgmtdev x',
        'dev x',
        'junk',
        'Dev',
        'dev Show',
        'mgmtdevs',
        'devs show',
        [''],
        ['dev', ''],
        ['mgmtdev', ''],
        ['dev', 'config', ''],
        ['dev', 'vstats', ''],
      ]),
    );
  });

  test('abbreviations', async () => {
    await startFrom(states['a network device'] ?? []);
    await compareReading([
      ...shortened('help', 'help'),
      ...shortened('mgmtdev show vduse', 'mgmtdev'),
      ...shortened('mgmtdev show vduse', 'show'),
      ...shortened('mgmtdev list vduse', 'list'),
      ...shortened('mgmtdev help', 'help'),
      ...shortened('dev show foo0', 'dev'),
      ...shortened('dev show foo0', 'show'),
      ...shortened('dev list foo0', 'list'),
      ...shortened('dev config show foo0', 'config'),
      ...shortened('dev config show foo0', 'show'),
      ...shortened('dev config help', 'help'),
      ...shortened('dev vstats show foo0 qidx 1', 'vstats'),
      ...shortened('dev vstats show foo0 qidx 1', 'show'),
      ...shortened('dev vstats show foo0 qidx 1', 'qidx'),
      ...shortened('dev add', 'add'),
      ...shortened('dev del', 'del'),
      ...shortened('dev set', 'set'),
      'd s',
      'd l',
      'm s',
      'm l vduse',
      'd c',
      'd c s foo0',
    ]);
  });

  test('abbreviated keywords', async () => {
    const whole =
      'dev add mgmtdev vdpasim_net name foo0 mac 02:00:00:00:00:01 mtu 1400 max_vqp 1 device_features 1000223';
    await compareChanging([
      ...['mgmtdev', 'name', 'mac', 'mtu', 'max_vqp', 'device_features'].flatMap((word) =>
        [...shortened(whole, word)].filter((line) => !line.includes('') && !line.includes('ma')),
      ),
    ]);
    await compareChanging(
      [
        ...shortened('dev set name foo0 mac 02:00:00:00:00:01', 'name'),
        ...shortened('dev set name foo0 mac 02:00:00:00:00:01', 'mac'),
      ],
      states['a network device'],
    );
  });

  test('options at each place, joined, long, shortened', async () => {
    await startFrom(states['a network device'] ?? []);
    for (const line of ['dev show foo0', 'dev config show', 'mgmtdev show vduse', 'dev show nosuch']) {
      await compareReading([
        ...atEachPlace(line, '-jp'),
        ...atEachPlace(line, '--js', '--pre'),
        ...atEachPlace(line, '-p', '-j'),
      ]);
    }
    await compareReading([
      ...[...atEachPlace('dev show -- foo0', '-j')].filter((line) => line.indexOf('-j') <= 2),
      ...['-pj', '-jj', '-pp', '-jpj', '--json', '--j', '--jso', '--p', '--pretty', '-j --pretty', '-p -j -p --j'].map(
        (options) => `dev show ${options}`,
      ),
      ...['-h', '--h', '--help', '-jh', '-ph', 'dev -h', 'dev show nosuch -h', '-hj junk', '-h -x', '--hel'],
    ]);
  });

  test('what follows two dashes, and a single one', async () => {
    await startFrom([]);
    await compareReading([
      '--',
      '-- -j',
      '-- dev',
      'dev -- show',
      'dev show -- -j',
      '-j dev show -- --json',
      '-',
      'dev -',
      'dev show -',
      '-- --',
      'dev show -- --',
      'dev -- -- show',
      '-- -- dev',
    ]);
  });

  test('options that there are not', async () => {
    await startFrom([]);
    await compareReading([
      ...['-x', '-jx', '-xj', '-s', '-jps', '-1', '-?', '-:', '-W', '-Wjson', '-=', '-J', '-P', '-H', '-v'],
      ...[
        '--x',
        '--x=1',
        '--json=1',
        '--js=',
        '--jsonx',
        '--JSON',
        '---',
        '---json',
        '--pretty=',
        '--help=x',
        '--Version=1',
      ],
      ...[
        'dev show -x',
        'dev -x show',
        'dev show foo0 --nothing',
        '-x -h',
        '-x -V',
        '-jp -x dev show',
        'dev add mtu -1',
      ],
      ['-j', '-x', ''],
      ['--é'],
      ['--a b'],
      ['--\n'],
    ]);
  });

  test('POSIXLY_CORRECT', async () => {
    await startFrom(states['a network device'] ?? []);
    await compareReading(
      [
        '-j dev show',
        'dev -j',
        'dev show -j',
        'dev show foo0 -x y',
        '-jp -- dev show',
        '- -j',
        '-x',
        '-p dev',
        '-j -p dev show',
      ],
      { POSIXLY_CORRECT: '' },
    );
  });

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

  test('adding what is there, deleting and changing', async () => {
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

  test('words that are missing or too many, where iproute2 minds', async () => {
    await startFrom(states['a network device'] ?? []);
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

  test('very many lines have been compared', (context) => {
    context.diagnostic(`${compared} command lines compared with iproute2's`);
    assert.ok(compared >= 500);
  });
});
