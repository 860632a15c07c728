/** Every row of docs/differences.md: both programs print what it says. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { checkoutRoot } from '../../lab/cache.js';
import { mainHelp } from '../../src/cli/help.js';
import type { Io } from '../../src/cli/io.js';
import { NLM_F_DUMP, NLM_F_DUMP_INTR } from '../../src/netlink/constants.js';
import { decodeMessages, encodeMessage } from '../../src/netlink/message.js';
import type { NetlinkTransport } from '../../src/netlink/transport.js';
import type { HardwareManagementDevice } from '../../src/sim/state/model.js';
import { lines, output, vdpa } from '../support/command-line.js';
import { needsReference, ours, reference, startBoth, startFrom, type Result } from '../support/kernel/lab/compare.js';
import { needs, VDUSE } from '../support/kernel/lab/needs.js';
import { asNobody } from '../support/kernel/lab/unprivileged.js';
import { start, until } from '../support/kernel/servers/vduse.js';
import { olderKernel } from '../support/older-kernel.js';
import { concat, padded, Peer } from '../support/peer.js';
import { TestMachine } from '../support/test-machine.js';

/** A row of the document. */
interface Row {
  readonly line: string;
  readonly theirs: string;
  readonly ours: string;
}

const rows = new Map<string, Row>();
for (const line of readFileSync(join(checkoutRoot, 'docs/differences.md'), 'utf8').split('\n')) {
  const [, what = '', command, theirs, own] = line.split(/(?<!\\)\| ?/);
  if (command === undefined || theirs === undefined || own === undefined || /^(what|---) /.test(what)) continue;
  rows.set(what.trim(), { line: command, theirs, ours: own });
}
const tested = new Set<string>();

function rowOf(what: string): Row {
  const row = rows.get(what);
  assert.ok(row, `docs/differences.md has no row "${what}"`);
  return row;
}

/** The text in backticks, which is what a program prints or reads. */
function spans(cell: string): string[] {
  return [...cell.matchAll(/`([^`]*)`/g)].map(([, text]) => (text ?? '').replaceAll('\\|', '|'));
}

/** The command line of a row. */
function argvOf(row: Row): string[] {
  const [line] = spans(row.line);
  assert.ok(line !== undefined);
  return line.split(' ');
}

/** The status that a cell gives. */
function statusIn(cell: string): number {
  const status = /status (\d)/i.exec(cell)?.[1];
  assert.ok(status !== undefined, `no status in "${cell}"`);
  return Number(status);
}

/** Compares what a program printed with a cell: all that is in backticks, line by line. */
function expectCell(cell: string, { status, stdout, stderr }: Result): void {
  const text = spans(cell).map((line) => `${line}\n`);
  assert.deepEqual([stdout.replace(/^\n$/, '') + stderr, status], [text.join(''), statusIn(cell)]);
}

/** Tests a row whose cells give everything that the programs print. */
function row(what: string, given: readonly string[] = []): void {
  tested.add(what);
  test(what, needsReference, async () => {
    const told = rowOf(what);
    const argv = argvOf(told);
    await startFrom(given);
    expectCell(told.theirs, reference(argv));
    await startFrom(given);
    const before = await output('dev show');
    const result = await ours(argv);
    expectCell(told.ours, result);
    if (result.status !== 0) assert.equal(await output('dev show'), before, 'a rejected line has changed something');
  });
}

/** Tests a row that needs more than its command line. */
function rowWith(what: string, check: (row: Row) => void | Promise<void>, options = needsReference): void {
  tested.add(what);
  test(what, options, () => check(rowOf(what)));
}

const FOO = 'dev add mgmtdev vdpasim_net name foo0';
const elsewhere = ['unshare', '--net'];

describe('command line', () => {
  row('A partial MAC address', [FOO]);
  row('A MAC address of seven groups', [FOO]);
  row('A MAC address with other characters in a group', [FOO]);
  row('An IPv4 address for a MAC address', [FOO]);
  row('A number in a MAC address that wraps around', [FOO]);
  for (const [mac, taken] of [
    ['00:11', '00:11:00:00:00:00'],
    ['02:11:22:33:44:5z', '02:11:22:33:44:05'],
    ['2.3.4.5', '02:03:04:05:00:00'],
    ['0202.0202.0202', '82:82:82:00:00:00'],
    ['100000002:11:22:33:44:55', '02:11:22:33:44:55'],
  ] as const) {
    test(`iproute2 takes "${mac}" as ${taken}`, needsReference, async () => {
      await startFrom([FOO]);
      reference(['dev', 'set', 'name', 'foo0', 'mac', mac]);
      assert.match(await output('dev config show foo0'), new RegExp(`^foo0: mac ${taken} `));
    });
  }
  row('A number out of range');
  row('Not a number', [FOO]);
  row('A negative number');
  row('Invalid features');
  row('An extra argument', [FOO]);
  row('A keyword without its value');
  for (const [what, length] of [
    ['A name of more than 4 KiB', 5000],
    ['A name of more than 64 KiB', 70_000],
  ] as const) {
    rowWith(what, async (told) => {
      const argv = ['dev', 'show', 'a'.repeat(length)];
      assert.equal(reference(argv).status, null, 'killed');
      expectCell(told.ours, await ours(argv));
    });
  }
});

describe('output', () => {
  row('A queue where multiqueue was not negotiated, the first', [FOO]);
  row('A queue where multiqueue was not negotiated, the last', [FOO]);
  row('Configuration of a block device, text', ['dev add mgmtdev vdpasim_blk name blk0']);
  rowWith('Configuration of a block device, JSON', async (told) => {
    await startFrom(['dev add mgmtdev vdpasim_blk name blk0']);
    expectCell(told.theirs, reference(argvOf(told)));
    const { stdout } = await ours(argvOf(told));
    const { config } = JSON.parse(stdout) as { config: { blk0: Record<string, unknown> } };
    const text = (await output('dev config show blk0')).replace(/^blk0: /, '').split(/\s+/);
    const keys = Object.keys(config.blk0);
    assert.deepEqual(
      keys,
      text.filter((word) => keys.includes(word)),
    );
    assert.equal(keys.length, 17);
    assert.equal(config.blk0['capacity'], 262144);
    assert.equal(config.blk0['flush'], true);
  });
  row('JSON with nothing to show');
  row('JSON with an unknown command');
  row('JSON with help');
  rowWith('JSON without vdpa in the kernel', (told) => {
    const { expected, actual } = startBoth(argvOf(told), elsewhere);
    assert.deepEqual([expected.stdout, expected.status], ['', statusIn(told.theirs)]);
    assert.deepEqual([actual.stdout, actual.status], ['{}\n', statusIn(told.ours)]);
  });
  for (const [what, name] of [
    ['Control characters in JSON', '\u0001'],
    ['Bytes that are not UTF-8 in JSON', '\udcff'],
  ] as const) {
    rowWith(what, async (told) => {
      await startFrom([]);
      await output(['dev', 'add', 'mgmtdev', 'vdpasim_net', 'name', `a${name}b`]);
      const argv = argvOf(told);
      const theirs = reference(argv).stdout;
      const decoder = new TextDecoder('utf-8', { fatal: true });
      assert.throws(() => JSON.parse(decoder.decode(Buffer.from(theirs, 'latin1'))) as unknown);
      const { stdout } = await ours(argv);
      assert.ok(stdout.includes(`"a${spans(told.ours)[0] ?? ''}b"`));
      assert.deepEqual(Object.keys((JSON.parse(stdout) as { dev: object }).dev), [`a${name}b`]);
    });
  }
  rowWith('A name of 64 bytes or more', async (told) => {
    const name = 'a'.repeat(64);
    await startFrom([FOO, `dev add mgmtdev vdpasim_net name ${name}`]);
    const theirs = reference(argvOf(told));
    assert.deepEqual([theirs.status, theirs.stdout, theirs.stderr], [null, '', lines(spans(told.theirs)[0] ?? '')]);
    const result = await ours(argvOf(told));
    assert.equal(result.status, statusIn(told.ours));
    assert.match(result.stdout, new RegExp(`^foo0: .*\n${name}: .*\n$`));
  });
  row('A number that the kernel rejects');
  row('An attribute that the management device does not support');
  row('Features that other attributes require');
  rowWith('A command that requires root', (told) => {
    const { expected, actual } = startBoth(argvOf(told), asNobody);
    expectCell(told.theirs, expected);
    expectCell(told.ours, actual);
  });
  rowWith('Named features †', async (told) => {
    const [net = '', block = ''] = spans(told.ours);
    assert.ok((await onHardware({ features: '0x1e0010000000040' }).vdpa(argvOf(told))).stdout.includes(net));
    assert.ok(
      (await onHardware({ classes: [2], features: '0x10000007e54' }).vdpa(argvOf(told))).stdout.includes(block),
    );
  });
  rowWith('A large number of queues †', async (told) => {
    const { stdout } = await onHardware({ max_vqs: 0xffff_ffff }).vdpa(argvOf(told));
    assert.ok(stdout.includes(`  ${spans(told.ours)[0] ?? ''}\n`));
  });
  rowWith('Counters with a per cent sign or a long name †', async (told) => {
    const long = 'a'.repeat(201);
    const machine = onHardware({ features: '0x300000000', vstats: { '100%s%n': 1, [long]: 2, last: 3 } });
    await machine.vdpa('dev add mgmtdev hw name foo0');
    const { stdout } = await machine.vdpa(argvOf(told));
    assert.equal(stdout, `foo0: queue_type rx 100%s%n 1 ${long} 2 last 3 \n`);
  });
  rowWith('A list that changes while it is read †', async (told) => {
    const answers = new TestMachine();
    await answers.vdpa(FOO);
    let dumps = 0;
    const machine = (isInterrupted: () => boolean): Partial<Io> => ({
      openTransport: () => interrupted(answers.openTransport(), isInterrupted),
    });
    const { stdout, status } = await vdpa(
      argvOf(told),
      machine(() => dumps++ === 0),
    );
    assert.deepEqual([stdout, status], [(await answers.vdpa('dev show')).stdout, 0]);
    assert.equal(dumps, 2);
    const never = await vdpa(
      argvOf(told),
      machine(() => dumps++ > 0),
    );
    assert.deepEqual([never.stdout, never.status], ['', 1]);
    assert.match(never.stderr, /^kernel answers: Interrupted system call\n.*try again\n$/);
    assert.equal(dumps, 12);
  });
  rowWith('Malformed netlink messages †', async (told) => {
    const broken = new Peer(() => [Uint8Array.of(1, 2, 3)]);
    const { stderr, status } = await vdpa(argvOf(told), { openTransport: () => broken });
    assert.ok(stderr.startsWith(spans(told.ours)[0] ?? '?'));
    assert.equal(status, statusIn(told.ours));
  });
  rowWith('A kernel that does not answer †', async (told) => {
    const { stderr, status } = await vdpa(argvOf(told), { openTransport: () => new Peer(() => []) });
    assert.ok(stderr.startsWith(lines(spans(told.ours)[0] ?? '?')));
    assert.equal(status, statusIn(told.ours));
  });
  rowWith('A command that an older kernel does not support †', async (told) => {
    expectCell(told.ours, await vdpa(argvOf(told), { openTransport: olderKernel }));
  });
  rowWith('Output that cannot be written', async (told) => {
    await startFrom([FOO]);
    const { expected, actual } = startBoth(argvOf(told), ['sh', '-c', '"$@" >/dev/full', 'sh']);
    expectCell(told.theirs, expected);
    expectCell(told.ours, actual);
  });
});

describe('options, help and version', () => {
  rowWith('`-n`, `--no-nice-names`', async (told) => {
    const theirs = reference(argvOf(told));
    assert.deepEqual([theirs.stderr.split('\n')[0], theirs.status], [spans(told.theirs)[0], statusIn(told.theirs)]);
    await startFrom([FOO]);
    for (const option of spans('`-n`, `--no-nice-names`')) {
      assert.deepEqual(await ours([option, 'dev', 'show']), await ours(['dev', 'show']));
    }
  });
  rowWith('Long options with one dash, as its usage writes them', async (told) => {
    await startFrom([]);
    const theirs = reference(argvOf(told));
    assert.deepEqual([theirs.stderr.split('\n')[0], theirs.status], [spans(told.theirs)[0], statusIn(told.theirs)]);
    expectCell(told.ours, await ours(argvOf(told)));
    assert.deepEqual(await ours(['-json', '-pretty', 'dev']), await ours(['-jp', 'dev']));
  });
  rowWith('Other options', async (told) => {
    const theirs = reference(argvOf(told));
    assert.deepEqual([theirs.stderr.split('\n')[0], theirs.status], [spans(told.theirs)[0], statusIn(told.theirs)]);
    assert.equal((await ours(argvOf(told))).status, statusIn(told.ours));
  });
  rowWith('An option that is not ASCII', async (told) => {
    const theirs = reference(argvOf(told));
    assert.deepEqual(
      [theirs.stderr.split('\n')[0], theirs.status],
      [`${spans(told.theirs)[0] ?? ''}\u00c3'`, statusIn(told.theirs)],
    );
    const { stderr, status } = await vdpa(argvOf(told));
    assert.deepEqual([stderr.split('\n')[0], status], [spans(told.ours)[0], statusIn(told.ours)]);
  });
  rowWith("The program's name in these messages", (told) => {
    const { expected, actual } = startBoth(argvOf(told));
    assert.deepEqual([expected.stderr.split('\n')[0], expected.status], [spans(told.theirs)[0], statusIn(told.theirs)]);
    assert.deepEqual([actual.stderr.split('\n')[0], actual.status], [spans(told.ours)[0], statusIn(told.ours)]);
  });
  rowWith('The main help', async (told) => {
    const theirs = reference(argvOf(told)).stderr.split('\n').slice(0, -1);
    assert.equal(theirs.length, 3);
    const { stderr, status } = await ours(argvOf(told));
    assert.deepEqual([stderr, status], [lines(...mainHelp()), statusIn(told.ours)]);
    const words = new Set(stderr.split(/\s+/));
    for (const word of theirs.join(' ').split(' ')) assert.ok(words.has(word), word);
  });
  for (const what of ['The help of a command', 'What follows the word `help`']) {
    rowWith(what, async (told) => {
      const theirs = reference(argvOf(told));
      assert.deepEqual([theirs.stderr, theirs.status], [reference(['help']).stderr, statusIn(told.theirs)]);
      expectCell(told.ours, await ours(argvOf(told)));
    });
  }
  row('The word `help` after a command without an operand');
  rowWith('The help of `dev`', async (told) => {
    const { stderr, status } = await ours(argvOf(told));
    const theirs = reference(argvOf(told)).stderr;
    assert.doesNotMatch(theirs, /dev set/);
    assert.equal(status, statusIn(told.ours));
    for (const words of ['show', 'add', 'del', 'set', 'config show', 'vstats show', 'features show', 'stats show']) {
      assert.match(stderr, new RegExp(`vdpa dev ${words} `));
    }
  });
  for (const what of ['Help without vdpa in the kernel', 'Unknown commands without vdpa in the kernel']) {
    rowWith(what, async (told) => {
      const { expected, actual } = startBoth(argvOf(told), elsewhere);
      expectCell(told.theirs, expected);
      assert.deepEqual(actual, await ours(argvOf(told)));
      assert.equal(actual.status, statusIn(told.ours));
    });
  }
  rowWith('No vdpa in the kernel', (told) => {
    const { expected, actual } = startBoth(argvOf(told), elsewhere);
    expectCell(told.theirs, expected);
    assert.ok(actual.stderr.startsWith(expected.stderr));
    assert.match(actual.stderr.slice(expected.stderr.length), /^.*modprobe vdpa.*\n$/);
    assert.equal(actual.status, statusIn(told.ours));
  });
  rowWith('The version', async (told) => {
    expectCell(told.theirs, reference(argvOf(told)));
    const { version } = JSON.parse(readFileSync(join(checkoutRoot, 'package.json'), 'utf8')) as { version: string };
    assert.deepEqual(await ours(argvOf(told)), { status: 0, stdout: `vdpa utility, vdpa-${version}\n`, stderr: '' });
  });
});

describe('additions', () => {
  row('Features offered, accepted and left out', [FOO]);
  row('Counters of every queue', [FOO]);
  row('The type of a new device');
  row('Features by name');
  test('features by name are the bits that they name', needsReference, async () => {
    await startFrom(['dev add mgmtdev vdpasim_net name foo1 device_features MAC,version_1,bit_33']);
    assert.match(await output('dev features show foo1'), /^ {2}device_features MAC VERSION_1 ACCESS_PLATFORM$/m);
  });
  const nobodyServes = async (told: Row): Promise<void> => {
    const theirs = reference(argvOf(told));
    expectCell(told.theirs, theirs);
    const { status, stdout, stderr } = await ours(argvOf(told));
    assert.deepEqual([status, stdout, stderr.startsWith(theirs.stderr)], [statusIn(told.ours), '', true]);
    assert.match(stderr.slice(theirs.stderr.length), /^foo1 has no server: start one, or run .*\n$/);
  };
  rowWith('A VDUSE device without a server', nobodyServes, needs('vdpa-iproute2', VDUSE));
  const served = async (told: Row): Promise<void> => {
    await startFrom([]);
    expectCell(told.theirs, reference(argvOf(told)));
    assert.deepEqual(await ours(argvOf(told)), { status: statusIn(told.ours), stdout: '', stderr: '' });
    assert.match(await output('dev show foo1'), /^foo1: type block mgmtdev vduse /);
    await startFrom([]);
  };
  rowWith('A server for a VDUSE device', served, needs('vdpa-iproute2', VDUSE));
  rowWith('A device whose node a process has open', deviceHeldOpen);
  rowWith('More commands', async (told) => {
    expectCell(told.theirs, reference(argvOf(told)));
    assert.notEqual((await ours(argvOf(told))).stdout, '');
  });
});

test('every row has a test', needsReference, () => {
  assert.deepEqual(
    [...rows.keys()].filter((what) => !tested.has(what)),
    [],
  );
});

/** A simulated machine with one hardware management device, `hw`. */
function onHardware(more: Partial<HardwareManagementDevice>): TestMachine {
  const hardware: HardwareManagementDevice = {
    name: 'hw',
    driver: 'hardware',
    classes: [1],
    max_vqs: 3,
    features: '0x0',
    config_attributes: [],
    vendor_id: 0x15b3,
    min_vq_size: 2,
    max_vq_size: 256,
    max_devices: 1,
    mac: '02:00:00:00:00:01',
    mtu: 1500,
    capacity: 0,
    ...more,
  };
  return new TestMachine({ mgmtdev: [hardware] });
}

/** A socket whose dumps are interrupted as long as `isInterrupted` returns true. */
function interrupted(inner: NetlinkTransport, isInterrupted: () => boolean): NetlinkTransport {
  let isNow = false;
  return {
    port: inner.port,
    send: (datagram) => {
      isNow = decodeMessages(datagram).some(({ flags }) => (flags & NLM_F_DUMP) === NLM_F_DUMP) && isInterrupted();
      return inner.send(datagram);
    },
    receive: async (timeoutMs) => {
      const datagram = await inner.receive(timeoutMs);
      const flag = isNow ? NLM_F_DUMP_INTR : 0;
      return concat(
        ...decodeMessages(datagram).map((message) =>
          padded(encodeMessage({ ...message, flags: message.flags | flag })),
        ),
      );
    },
    close: () => inner.close(),
  };
}

async function deviceHeldOpen(told: Row): Promise<void> {
  await startFrom([`${FOO} driver vhost`]);
  const holder = spawn('bash', ['-c', 'exec 3<>/dev/vhost-vdpa-0; echo; exec sleep 600'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  const { stdout, stderr, status } = await ours(argvOf(told));
  const [words = ''] = spans(told.ours);
  assert.deepEqual([stdout, stderr.slice(0, words.length), status], ['', words, statusIn(told.ours)]);
  let isClosed = false;
  const theirs = start('/run/bin/vdpa-iproute2', ...argvOf(told)).then((result) => {
    assert.ok(isClosed, 'iproute2 did not wait');
    return result;
  });
  await until('the kernel has started to delete it', () => !existsSync('/dev/vhost-vdpa-0'));
  isClosed = true;
  holder.kill();
  assert.equal((await theirs).status, 0);
}
