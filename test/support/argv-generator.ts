/** Command lines as people, scripts and cats on keyboards write them. */
import type { CommandClass } from '../../src/cli/command.js';
import type { Keywords } from '../../src/cli/grammar.js';
import { optionTable } from '../../src/cli/option-table.js';
import type { Branch } from '../../src/cli/branch.js';
import { tree } from '../../src/command-tree.js';
import type { Random } from './random.js';

/** A command and the words that lead to it. */
interface Path {
  readonly args: readonly string[];
  readonly command: CommandClass;
}

/** Objects whose commands are tried; the others wait for events, or write files. */
const objects = ['mgmtdev', 'dev'];

/** Options that are not tried: they read files or never end. */
const leftOut: readonly string[] = ['batch', 'watch', 'timestamp'];

const values = [
  ...[
    'foo0',
    'foo1',
    'foo2',
    'blk0',
    'vdpasim_net',
    'vdpasim_blk',
    'vduse',
    'pci/0000:03:00.2',
    'a/b/c',
    '/',
    'nosuch',
  ],
  ...[
    '00:11:22:33:44:55',
    '02:00:00:00:00:01',
    '00:11',
    'ff:ff:ff:ff:ff:ff:ff',
    '1.2.3.4',
    '0202.0202.0202',
    ' 2:+0:0x0:000:0:1',
    '100000002:0:0:0:0:1',
    'zz:1',
    ':::::',
    '2:0:0:0:0:1',
  ],
  ...[
    '0',
    '1',
    '2',
    '3',
    '68',
    '1500',
    '65535',
    '65536',
    '4294967295',
    '4294967296',
    '-1',
    '+1',
    ' 1',
    '1e3',
    '0x10',
    '9'.repeat(40),
  ],
  ...[
    'MAC',
    'MAC,MTU',
    'VERSION_1,bit_63',
    'bit_64',
    'FLUSH',
    'mac,',
    '300020020',
    '0xffffffffffffffff',
    '1'.repeat(17),
    'net',
    'block',
  ],
  ...[
    '',
    ' ',
    '-',
    '--',
    'é漢😀',
    '\udcff',
    'a\udc80\udcfeb',
    '\u0001\u001b[2J',
    '\n',
    '"',
    '\\',
    '%n%s',
    '__proto__',
    'constructor',
  ],
  ...['a'.repeat(64), 'a'.repeat(300), 'help', 'show', 'name', 'mgmtdev', 'qidx', 'virtio', 'vhost'],
] as [string, ...string[]];

/** Generates command lines, the same ones for the same random numbers. */
export class ArgvGenerator {
  readonly #random: Random;
  readonly #paths: readonly [Path, ...Path[]];

  private constructor(random: Random, paths: readonly [Path, ...Path[]]) {
    this.#random = random;
    this.#paths = paths;
  }

  static async create(random: Random): Promise<ArgvGenerator> {
    const paths: Path[] = [];
    const walk = async (branch: Branch, args: readonly string[]): Promise<void> => {
      for (const child of branch.children) {
        if (args.length === 0 && !objects.includes(child.names[0])) continue;
        for (const word of child.names) {
          if ('children' in child) await walk(child, [...args, word]);
          else paths.push({ args: [...args, word], command: (await child.load()).default });
        }
      }
    };
    await walk(tree, []);
    return new ArgvGenerator(random, paths as [Path, ...Path[]]);
  }

  next(): string[] {
    const random = this.#random;
    if (random.chance(5)) return Array.from({ length: random.below(6) }, () => this.#junk());
    let args = this.#sentence();
    for (let left = random.chance(40) ? random.below(4) : 0; left > 0; left--) args = this.#mutated(args);
    for (let left = random.chance(50) ? random.below(3) : 0; left > 0; left--)
      args.splice(random.below(args.length + 1), 0, this.#option());
    return args;
  }

  /** A line that is likely valid. */
  #sentence(): string[] {
    const random = this.#random;
    // Devices must exist before anything can be done with them.
    const isAdd = random.chance(35);
    const { args, command } =
      (isAdd ? this.#paths.find(({ args: [, verb] }) => verb === 'add') : undefined) ?? random.pick(this.#paths);
    const line = [...args];
    if (command.operand !== undefined && random.chance(80)) {
      line.push(random.chance(70) ? this.#fitting(command.operand === 'device' ? 'name' : 'mgmtdev') : this.#value());
    } else if (random.chance(20)) {
      line.push(...this.#argument(command.alternatives));
    }
    for (const [word, { missing }] of shuffled(Object.entries(command.keywords), random)) {
      if (random.chance(missing === undefined ? 5 : 98)) line.push(...this.#argument(command.keywords, word));
    }
    return line;
  }

  #argument(keywords: Keywords, word = shuffled(Object.keys(keywords), this.#random)[0]): string[] {
    if (word === undefined) return [];
    const keyword = keywords[word];
    if (keyword?.placeholder === undefined) return [word];
    return [word, this.#random.chance(80) ? this.#fitting(word) : this.#value()];
  }

  /** A value that fits a keyword. */
  #fitting(word: string): string {
    const random = this.#random;
    switch (word) {
      case 'mgmtdev':
        return random.pick(['vdpasim_net', 'vdpasim_blk', 'vduse']);
      case 'name':
        return random.pick(['foo0', 'foo1', 'foo2', 'foo3', 'é', '\udcff']);
      case 'mac':
        return random.pick(['02:00:00:00:00:01', '00:11:22:33:44:55', '2:0:0:0:0:1']);
      case 'mtu':
        return random.pick(['68', '1500', '9000']);
      case 'device_features':
        return random.pick(['300020020', 'MAC,VERSION_1,ACCESS_PLATFORM', '0x300000000', 'MAC']);
      case 'size':
        return random.pick(['64M', '1G', '1048576']);
      case 'queue_size':
        return random.pick(['4', '256', '1024']);
      case 'block_size':
        return random.pick(['512', '4096']);
      case 'backend':
        return random.pick(['ram', 'null', 'loopback']);
      case 'type':
        return random.pick(['net', 'block']);
      default:
        return random.pick(['0', '1', '2']);
    }
  }

  #value(): string {
    return this.#random.chance(5) ? this.#junk() : this.#random.pick(values);
  }

  #option(): string {
    const random = this.#random;
    const tried = optionTable.filter(({ name }) => !leftOut.includes(name)) as [
      (typeof optionTable)[0],
      ...typeof optionTable,
    ];
    const { name, short } = random.pick(tried);
    switch (random.below(6)) {
      case 0:
        return `--${name}`;
      case 1:
        return `--${name.slice(0, 1 + random.below(name.length))}`;
      case 2:
        return `-${name}`;
      case 3:
        return `--${name}=${this.#value()}`;
      case 4:
        return random.pick([
          '-j',
          '-p',
          '-jp',
          '-pj',
          '-jps',
          '-jx',
          '--',
          '-n',
          '-V',
          '-h',
          '-é',
          '-😀',
          '-\udcff',
          '--=',
          '---',
        ]);
      default:
        return `-${random.chance(50) ? 'j' : ''}${short ?? ''}`;
    }
  }

  /** The line with one thing wrong. */
  #mutated(args: readonly string[]): string[] {
    const random = this.#random;
    const at = random.below(args.length + 1);
    const word = args[at] ?? '';
    const replaced = (...by: string[]): string[] => [...args.slice(0, at), ...by, ...args.slice(at + 1)];
    switch (random.below(6)) {
      case 0:
        return replaced();
      case 1:
        return replaced(word, word);
      case 2:
        return replaced(
          Array.from(word)
            .slice(0, random.below(word.length + 1))
            .join(''),
        );
      case 3:
        return replaced(this.#value());
      case 4:
        return replaced(this.#value(), word);
      default:
        return shuffled(args, random);
    }
  }

  /** Any text that can be an argument: without NUL, and with bytes that are not UTF-8 as lone surrogates. */
  #junk(): string {
    const random = this.#random;
    if (random.chance(2)) return 'a'.repeat(random.below(100_000));
    return Array.from({ length: random.below(12) }, () => {
      const point = 1 + random.below(random.pick([0x7f, 0x7ff, 0xffff, 0x10ffff]));
      if (point < 0xd800 || point > 0xdfff) return String.fromCodePoint(point);
      return String.fromCharCode(0xdc80 + (point & 0x7f));
    }).join('');
  }
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const left = [...items];
  return items.map(() => left.splice(random.below(left.length), 1)[0] as T);
}
