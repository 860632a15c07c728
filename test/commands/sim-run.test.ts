// `vdpa sim run`: the built program, with scripts as users have them.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  mkdtempSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { Ajv, type AnySchema } from 'ajv';
import { checkoutRoot } from '../../lab/cache.js';
import type { Outcome } from '../support/command-line.js';
import { program, programEnv } from '../support/simulating-program.js';

const base = mkdtempSync(join(tmpdir(), 'vdpa-sim-run-'));
/** Where the machines of the test are made: empty again after each run. */
const temporary = join(base, 'tmp');
const record = join(base, 'record.jsonl');
const env = { ...programEnv, TMPDIR: temporary };
after(() => {
  rmSync(base, { recursive: true });
});
beforeEach(() => {
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary);
});

function run(words: readonly string[], more: NodeJS.ProcessEnv = {}): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, 'sim', 'run', ...words], {
    env: { ...env, ...more },
    encoding: 'utf8',
    timeout: 120_000,
  });
  assert.deepEqual(readdirSync(temporary), [], 'the folder of the machine is removed');
  return { status: status ?? -1, stdout, stderr };
}

/** The lines of the record. */
function recorded(): Record<string, unknown>[] {
  const text = readFileSync(record, 'utf8');
  assert.ok(text.endsWith('\n'));
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('a script has a fresh machine, and this program as vdpa', () => {
  const script =
    'vdpa -V && vdpa dev show && vdpa dev add name a mgmtdev vdpasim_net && vdpa dev show a && echo "$VDPA_SIM"';
  const expected = /^vdpa utility, vdpa-.*\na: type network mgmtdev vdpasim_net .*\n1\n$/s;
  for (const attempt of ['first', 'second']) {
    const { status, stdout, stderr } = run(['--', 'sh', '-c', script]);
    assert.deepEqual([status, stderr], [0, ''], attempt);
    assert.match(stdout, expected, attempt);
  }
});

test('arguments reach the command as they are, whatever they contain', () => {
  const words = ['-j', '--sim', 'a b', "it's", '$(echo no)', '"; echo no', '', 'record', '--'];
  const { status, stdout } = run(['--', 'printf', '<%s>\\n', ...words]);
  assert.deepEqual([status, stdout], [0, words.map((word) => `<${word}>\n`).join('')]);
  const posix = run(['--', 'printf', '<%s>\\n', ...words], { POSIXLY_CORRECT: '1' });
  assert.deepEqual([posix.status, posix.stdout], [0, stdout]);
});

test('the program is found in a folder with any name', () => {
  const odd = join(base, 'an \'odd\' $(name); "here"');
  mkdirSync(odd);
  cpSync(join(checkoutRoot, 'bin'), join(odd, 'bin'), { recursive: true });
  symlinkSync(join(checkoutRoot, 'node_modules'), join(odd, 'node_modules'));
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(odd, 'bin/vdpa.js'), 'sim', 'run', '--', 'vdpa', 'dev', 'add', 'name', 'a', 'mgmtdev', 'vdpasim_net'],
    { env: { ...env, TMPDIR: odd }, encoding: 'utf8' },
  );
  assert.deepEqual([status, stdout, stderr], [0, '', '']);
});

test('the exit status is that of the command', () => {
  assert.equal(run(['--', 'sh', '-c', 'exit 7']).status, 7);
  assert.equal(run(['--', 'sh', '-c', 'kill -TERM $$']).status, 128 + 15);
  const missing = run(['--', 'no-such-command', '-x']);
  assert.deepEqual([missing.status, missing.stderr], [127, 'no-such-command: No such file or directory\n']);
  const plain = join(base, 'plain');
  writeFileSync(plain, '');
  chmodSync(plain, 0o600);
  const refused = run(['--', plain]);
  assert.deepEqual([refused.status, refused.stderr], [126, `${plain}: Permission denied\n`]);
});

test('the machine is that of a description, and nothing runs if it is invalid', () => {
  const machine = join(base, 'machine.json');
  writeFileSync(machine, '{ "mgmtdev": { "pci/0000:03:00.2": { "max_supported_vqs": 9 } } }');
  const shown = run(['machine', machine, '--', 'vdpa', 'mgmtdev', 'show']);
  assert.match(shown.stdout, /^pci\/0000:03:00\.2: \n {2}supported_classes net\n {2}max_supported_vqs 9\n/);
  writeFileSync(machine, '{ "mgmtdev": 1 }');
  const invalid = run(['machine', machine, '--', 'echo', 'ran']);
  assert.deepEqual([invalid.status, invalid.stdout], [1, '']);
  assert.match(invalid.stderr, /is not a valid machine description: \/mgmtdev must be object/);
});

test('a command is required, after --', () => {
  const said = '"--" and a command are required: vdpa sim run -- COMMAND\n';
  for (const words of [[], ['--'], ['record', record, '--']]) {
    const { status, stdout, stderr } = run(words);
    assert.deepEqual([status, stdout, stderr], [1, '', said], words.join(' '));
  }
  const words = ['true', 'now'];
  assert.deepEqual(run(words), { status: 1, stdout: '', stderr: 'Unknown option "true"\n' });
});

test('a signal is passed on to the command, and the folder removed after its end', async () => {
  const script = 'trap "echo caught; exit 3" TERM; echo ready; while :; do sleep 0.05; done';
  const child = spawn(process.execPath, [program, 'sim', 'run', '--', 'sh', '-c', script], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    if (text.includes('ready')) child.kill('SIGTERM');
  });
  const [status] = (await once(child, 'close')) as [number | null];
  assert.deepEqual([status, said], [3, 'ready\ncaught\n']);
  assert.deepEqual(readdirSync(temporary), []);
});

test('record writes every request and answer of all processes, and the end', () => {
  writeFileSync(record, 'old\n');
  const script = `
    vdpa dev add name a mgmtdev vdpasim_net mac 00:11:22:33:44:55 mtu 9000
    for n in 1 2 3 4 5; do vdpa dev add name "p$n" mgmtdev vdpasim_blk & done
    wait
    vdpa -j dev show >/dev/null
    vdpa dev vstats show a qidx 0 >/dev/null
    vdpa dev del missing
  `;
  const { status, stderr } = run(['record', record, '--', 'sh', '-c', script]);
  assert.deepEqual([status, stderr], [1, 'Error: vdpa: device not found.\nkernel answers: No such device\n']);
  const lines = recorded();
  const schema = JSON.parse(readFileSync(join(checkoutRoot, 'schemas/sim-record.schema.json'), 'utf8')) as AnySchema;
  const ajv = new Ajv({ strict: true, strictTypes: false, strictRequired: false });
  for (const line of lines) assert.ok(ajv.validate(schema, line), `${ajv.errorsText()} ${JSON.stringify(line)}`);

  const adds = lines.filter(({ type, command }) => type === 'request' && command === 'DEV_NEW');
  assert.equal(adds.length, 6);
  assert.deepEqual(adds[0]?.['attributes'], {
    MGMTDEV_DEV_NAME: 'vdpasim_net',
    DEV_NAME: 'a',
    DEV_NET_CFG_MACADDR: '00:11:22:33:44:55',
    DEV_NET_CFG_MTU: 9000,
  });
  for (const { pid, seq } of adds) {
    const end = lines.find((line) => line['pid'] === pid && line['seq'] === seq && line['type'] === 'acknowledgement');
    assert.ok(end !== undefined && !('error' in end));
  }
  assert.equal(new Set(adds.map(({ pid }) => pid)).size, 6);
  const dump = lines.find(({ command, type }) => type === 'request' && command === 'DEV_GET');
  assert.equal(dump?.['dump'], true);
  const stats = lines.find(({ command, type }) => type === 'answer' && command === 'DEV_VSTATS_GET');
  const { DEV_VENDOR_ATTR_NAME: names } = stats?.['attributes'] as Record<string, unknown>;
  assert.deepEqual(names, ['rx packets', 'rx bytes', 'rx errors', 'rx overruns', 'rx drops']);
  const refused = lines.find(({ error }) => error !== undefined);
  assert.deepEqual([refused?.['error'], refused?.['message']], ['ENODEV', 'vdpa: device not found']);

  const end = lines.at(-1);
  assert.deepEqual([end?.['type'], end?.['status'], end?.['vduse']], ['end', 1, ['foo0']]);
  const left = end?.['devices'] as { name: string }[];
  assert.deepEqual(left.map(({ name }) => name).sort(), ['a', 'p1', 'p2', 'p3', 'p4', 'p5']);
});

test('VDPA_SIM_RECORD appends to a file that only its owner can read', () => {
  const path = join(base, 'appended.jsonl');
  const more = { VDPA_SIM: '1', VDPA_SIM_STATE: join(base, 'state.json'), VDPA_SIM_RECORD: path };
  const sizes = ['mgmtdev show', 'dev show'].map((line) => {
    const { status } = spawnSync(process.execPath, [program, ...line.split(' ')], { env: { ...env, ...more } });
    assert.equal(status, 0);
    return statSync(path).size;
  });
  assert.ok((sizes[0] ?? 0) > 0 && (sizes[1] ?? 0) > (sizes[0] ?? 0));
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test('export keeps the files of the machine up to date after each command', () => {
  const files = join(base, 'files');
  const script = `
    set -e
    bus=$SYSFS_ROOT/sys/bus/vdpa/devices
    vdpa dev add name a mgmtdev vdpasim_net driver vhost mode 0660
    test -d "$bus/a/vhost-vdpa-0" && stat -c %a "$SYSFS_ROOT/dev/vhost-vdpa-0"
    vdpa dev bind a driver vhost mode 0600
    stat -c %a "$SYSFS_ROOT/dev/vhost-vdpa-0"
    vdpa dev bind a driver virtio
    basename "$bus"/a/virtio*/net/*
    for n in 1 2 3 4 5; do vdpa dev add name "p$n" mgmtdev vdpasim_blk & done
    wait
    ls "$bus" "$SYSFS_ROOT/dev"
    cat "$bus/a/driver_override"
    vdpa dev del a
    test ! -e "$bus/a"
    # Neither another machine nor one that only shows its devices changes the files.
    touch "$bus/.mine"
    vdpa dev show >/dev/null
    vdpa sim run -- vdpa dev add name other mgmtdev vdpasim_net
    test -e "$bus/.mine"
    vdpa sim reset
    ls -A "$bus"`;
  const { status, stdout, stderr } = run(['export', files, '--', 'bash', '--norc', '-c', script]);
  assert.deepEqual([status, stderr], [0, '']);
  assert.equal(
    stdout.replaceAll(`${files}/`, ''),
    `660\n600\neth0\ndev:\niommu\nvda\nvdb\nvdc\nvdd\nvde\nvduse\n\nsys/bus/vdpa/devices:\na\np1\np2\np3\np4\np5\nvirtio_vdpa\n`,
  );
  assert.deepEqual(readdirSync(files).sort(), ['dev', 'sys']);
});

test('a run within another one has neither the files nor the record of that one', () => {
  const shown = 'echo "$SYSFS_ROOT|$VDPA_SIM_EXPORT|$VDPA_SIM_RECORD"';
  const inner = (...words: string[]): string =>
    `vdpa sim run ${words.join(' ')} -- sh -c '${shown}; vdpa dev add name inner mgmtdev vdpasim_net'`;
  const [files, own] = [join(base, 'outer'), join(base, 'inner')];
  const { status, stdout, stderr } = run([
    'export',
    files,
    'record',
    record,
    '--',
    'sh',
    '-c',
    [inner(), inner('export', own), shown].join('; '),
  ]);
  assert.deepEqual([status, stderr], [0, '']);
  assert.deepEqual(stdout.split('\n'), ['||', `${own}|${own}|`, `${files}|${files}|${record}`, '']);
  assert.ok(!JSON.stringify(recorded()).includes('inner'));
  assert.deepEqual(readdirSync(join(files, 'sys/bus/vdpa/devices')), []);
  assert.deepEqual(readdirSync(join(own, 'sys/bus/vdpa/devices')), ['inner']);
});

test('nothing runs if the files of the machine cannot be written', () => {
  const other = join(base, 'other');
  mkdirSync(other);
  writeFileSync(join(other, 'mine'), '');
  const { status, stdout, stderr } = run(['export', other, '--', 'echo', 'ran']);
  assert.deepEqual([status, stdout], [1, '']);
  assert.match(stderr, /ENOTEMPTY.*It contains mine: use a new folder/);
});

test('a record that cannot be written fails before the command runs', () => {
  const link = join(base, 'link');
  symlinkSync(record, link);
  for (const [path, why] of [
    [join(base, 'no/such/folder'), 'No such file or directory'],
    [link, 'Too many levels of symbolic links'],
    [base, 'Is a directory'],
    ['/dev/null', 'not a regular file'],
  ] as const) {
    const { status, stdout, stderr } = run(['record', path, '--', 'echo', 'ran']);
    assert.deepEqual([status, stdout, stderr], [1, '', `Cannot record to ${path}: ${why}\n`]);
  }
});
