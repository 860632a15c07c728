/** Numbers and MAC addresses in every form that the C library reads, compared with iproute2's vdpa. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeText } from '../../src/netlink/text-encoding.js';
import { withoutExplanation } from '../support/explanation.js';
import { needsReference, ours, reference, startFrom, type Result } from '../support/kernel/lab/compare.js';
import { output } from '../support/command-line.js';
import { Random } from '../support/random.js';

const FOO = 'dev add mgmtdev vdpasim_net name foo0';
const START = 'dev set name foo0 mac 02:00:00:00:00:99';
const byHand = [
  ...[
    '0202.0202.0202',
    '0x2.3.4.5',
    '0002.3.4.5',
    '0X2.0x.1',
    '2.0377',
    '2.0400',
    '08.1',
    '0x.1',
    '1.2.3.4.5',
    '2.',
    '.2',
  ],
  ...[' +2.3', '2. 3', '2.-0', '2.-18446744073709551613', '2.18446744073709551619', '0b10.1', '2.3 ', '2..3', '2.3:4'],
  ...[
    '2:0:0:0:0:1',
    ' 2:0:0:0:0:1',
    '2:\t+1:0:0:0:1',
    '0x2:0:0:0:0:0X1',
    '002:0:0:0:0:0001',
    '2:0:0:0:0:1 ',
    '2:0x:0:0:0:1',
  ],
  ...['2:-0:0:0:0:1', '2:-1:0:0:0:1', '2:-ffffff02:0:0:0:1', '100000002:0:0:0:0:1', '2:fffffffffffffffffffff:0:0:0:1'],
  ...[
    '2:0xzz:0:0:0:1',
    '2:0:0:0:0:1:zz',
    '2:0:0:0:0',
    '2::0:0:0:1',
    '2:100:zz',
    '2: :0:0:0:1',
    '2:+:0:0:0:1',
    '2:0:0:0:0:1x',
  ],
  ...[
    '',
    ' ',
    ':',
    'any',
    'all',
    'default',
    'zz',
    '2:0:0:0:0:\u00a01',
    '2:0:0:0:0:é',
    '2:0:0:0:0:\udcff',
    '020000000001',
  ],
];

/** Six hexadecimal numbers and nothing else: what both programs accept. */
const plain = /^(?:[ \t\n\v\f\r]*\+?(?:0x)?0*[0-9a-f]{1,2}(?::(?!$)|$)){6}$/i;

const taken = (text: string): Promise<Result> => ours(['--', 'dev', 'set', 'name', 'foo0', 'mac', text]);

async function address(): Promise<string> {
  return /mac (\S+)/.exec(await output('dev config show foo0'))?.[1] ?? '';
}

test(
  'what iproute2 rejects as a MAC address, or accepts as one, in every form that glibc knows',
  needsReference,
  async () => {
    await startFrom([FOO]);
    const words = new Generator(new Random(26));
    const counts = { refused: 0, same: 0, stricter: 0 };
    const differences: object[] = [];
    for (const text of [...byHand, ...Array.from({ length: 500 }, () => words.address())]) {
      await output(START);
      const theirs = reference(['--', 'dev', 'set', 'name', 'foo0', 'mac', text]);
      const theirAddress = await address();
      await output(START);
      const result = await taken(text);
      const ourAddress = await address();
      const isTaken = !theirs.stderr.includes('is invalid lladdr');
      const isStricter = isTaken && !plain.test(text);
      const expected: Result = isStricter
        ? {
            status: 1,
            stdout: '',
            stderr: `Invalid lladdr "${bytes(text)}": expected six groups of one or two hexadecimal digits, as in 00:11:22:33:44:55\n`,
          }
        : theirs;
      const isSame =
        JSON.stringify(result) === JSON.stringify(expected) &&
        ourAddress === (isStricter ? '02:00:00:00:00:99' : theirAddress);
      if (!isSame) differences.push({ text, theirs, theirAddress, result, ourAddress });
      counts[isStricter ? 'stricter' : isTaken ? 'same' : 'refused']++;
    }
    assert.deepEqual(differences, []);
    assert.ok(
      Object.values(counts).every((count) => count >= 50),
      JSON.stringify(counts),
    );
  },
);

for (const { what, argv, most } of [
  { what: 'mtu', argv: ['dev', 'add', 'mgmtdev', 'vdpasim_net', 'name', 'foo1', 'mtu'], most: 0xffffn },
  { what: 'max_vqp', argv: ['dev', 'add', 'mgmtdev', 'vdpasim_net', 'name', 'foo1', 'max_vqp'], most: 0xffffn },
  { what: 'qidx', argv: ['dev', 'vstats', 'show', 'foo0', 'qidx'], most: 0xffff_ffffn },
  {
    what: 'device_features',
    argv: ['dev', 'add', 'mgmtdev', 'vdpasim_net', 'name', 'foo1', 'device_features'],
    most: 2n ** 64n - 1n,
  },
]) {
  test(`what iproute2 accepts for ${what}, in every form that glibc knows`, needsReference, async () => {
    const words = new Generator(new Random(27));
    const differences: object[] = [];
    let accepted = 0;
    await startFrom([FOO]);
    const without = async (): Promise<void> => {
      if (argv.includes('foo1')) reference(['dev', 'del', 'foo1']);
      await Promise.resolve();
    };
    for (const text of [
      '',
      ' ',
      '0x',
      '1_0',
      '1 ',
      ' 1',
      '+1',
      '+-1',
      '1.0',
      ...Array.from({ length: 80 }, () => words.number(most)),
    ]) {
      const theirs = reference(['--', ...argv, text]);
      const state = await output('dev config show');
      await without();
      const result = withoutExplanation(await ours(['--', ...argv, text]));
      const after = await output('dev config show');
      await without();
      // Rows of docs/differences.md: a negative number is rejected, features may be names, and an error says why.
      const isRefusedInWords =
        result.status === 1 &&
        (result.stderr.startsWith(`Invalid ${what} "${bytes(text)}": `) ||
          result.stderr.startsWith(`Unknown feature "${bytes(text)}"`));
      const isSilent = theirs.status === 1 && theirs.stderr === '';
      const isNegative = /^[ \t\n\v\f\r]*-/.test(text);
      // The type of a queue differs, which has its own row.
      const told = ({ stdout, ...rest }: Result): string =>
        JSON.stringify(what === 'qidx' ? rest : { ...rest, stdout });
      const isSame = told(result) === told(theirs) && after === state;
      const isRight = isSilent || isNegative ? isRefusedInWords : isSame;
      if (!isRight) differences.push({ text, theirs, result, state, after });
      if (!isSilent && !isNegative) accepted++;
    }
    assert.deepEqual(differences, []);
    assert.ok(accepted >= 15, `${accepted} taken`);
  });
}

/** One character per byte, as in results. */
const bytes = (text: string): string => Buffer.from(encodeText(text)).toString('latin1');

/** Numbers as they should be written, and as they should not. */
class Generator {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  address(): string {
    const random = this.#random;
    const isDotted = random.chance(40);
    const count = random.chance(70) ? (isDotted ? random.pick([3, 4]) : 6) : random.below(9);
    const isWild = random.chance(70);
    const groups = Array.from({ length: count }, (_, at) => {
      const value = at === 0 ? BigInt(2 * (1 + random.below(100))) : BigInt(random.below(256));
      return isWild && random.chance(30) ? this.#wild(value, 0xffn) : isDotted ? `${value}` : value.toString(16);
    });
    return groups.join(isDotted ? '.' : ':');
  }

  number(most: bigint): string {
    const value = this.#random.chance(50) ? BigInt(this.#random.below(2000)) : most - BigInt(this.#random.below(3));
    return this.#random.chance(30) ? `${value}` : this.#wild(value, most);
  }

  #wild(value: bigint, most: bigint): string {
    const random = this.#random;
    const lead = random.chance(30)
      ? random.pick([' ', '\t', '\n', '\v', '\f', '\r', '  ', '+', ' +', '-', ' -', '+-', '\u00a0'])
      : '';
    const prefix = random.chance(30) ? random.pick(['0x', '0X', '0', '00', '0o', '0b', 'x', '\\x', '0x0']) : '';
    const trail = random.chance(15) ? random.pick([' ', 'x', 'g', '.', 'h', '_0', 'e1', ',', '%', '\n']) : '';
    const number = random.pick([
      value,
      value,
      value,
      value,
      most + 1n,
      2n ** 32n + value,
      2n ** 32n - value,
      2n ** 64n + value,
      2n ** 64n - 1n - value,
    ]);
    const digits = random.pick([
      number.toString(),
      number.toString(16),
      number.toString(8),
      number.toString(16).toUpperCase(),
      '',
    ]);
    return lead + prefix + digits + trail;
  }
}
