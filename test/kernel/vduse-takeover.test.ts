import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { nothingLeft, runningServers } from '../support/kernel/lab/leftovers.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { bash, diskOf, start, until, type Ran } from '../support/kernel/servers/vduse.js';

const { afterEach, describe, test } = testsWith(VDUSE);

const VDPA = '/run/bin/vdpa';
const BIG = '/tmp/big.img';
const SMALL = '/tmp/small.img';
const MIB = 1024 * 1024;

const vdpa = (line: string): Promise<Ran> => start(VDPA, ...line.split(' '));

interface Shown {
  readonly pid?: number;
  readonly server: string;
  readonly state?: string;
  readonly path?: string;
  readonly size?: number;
}

async function show(name: string): Promise<Shown | undefined> {
  const { status, stdout } = await vdpa(`-j vduse show ${name}`);
  return status === 0 ? (JSON.parse(stdout) as { vduse: Record<string, Shown> }).vduse[name] : undefined;
}

function served(name: string, not?: number): Promise<Shown> {
  return until(`${name} is served`, async () => {
    const shown = await show(name);
    const isServing = shown?.state === 'running' || shown?.state === 'idle';
    return shown !== undefined && isServing && shown.pid !== not && shown;
  });
}

/** Kills the server of a device. */
async function kill(name: string): Promise<void> {
  process.kill((await served(name)).pid ?? 0, 'SIGKILL');
  await until('it has died', async () => (await show(name))?.server === 'none');
}

/** Checks that a server with these arguments is rejected for an instance. @returns the error message */
async function refused(name: string, words: string): Promise<string> {
  const { status, stderr } = await vdpa(`vduse serve name ${name} ${words}`);
  assert.equal(status, 1, words);
  assert.equal((await show(name))?.server, 'none', 'the instance is left as it was');
  return stderr;
}

/** Lets another server take over an instance, stops it with `end`, and returns what was shown in between. */
async function taken(name: string, words: string, end: () => Promise<void>): Promise<Shown> {
  const server = vdpa(`vduse serve name ${name} ${words}`);
  const shown = await served(name);
  await end();
  assert.deepEqual(await server, { status: 0, stdout: '', stderr: '' });
  return shown;
}

const del = (name: string) => async (): Promise<void> => {
  assert.deepEqual(await vdpa(`vduse del ${name}`), { status: 0, stdout: '', stderr: '' });
};

const sectorsOf = (disk: string): number => Number(readFileSync(`/sys/block/${disk.slice(5)}/size`, 'utf8'));

/** Creates an idle instance with these arguments, and kills its server. */
async function idle(name: string, words: string): Promise<void> {
  const server = vdpa(`vduse serve name ${name} ${words}`);
  await until('the instance exists', () => existsSync(`/dev/vduse/${name}`));
  await kill(name);
  assert.equal((await server).status, null);
}

afterEach(async () => {
  await until('no server is left', () => runningServers().length === 0);
  nothingLeft();
});

describe('a server takes over from another', () => {
  test('with another disk: rejected by name while a driver runs it; force accepts it', async () => {
    await bash(`rm -f ${BIG} ${SMALL}; truncate -s 64M ${BIG}; truncate -s 8M ${SMALL}`);
    assert.deepEqual(await vdpa(`dev add mgmtdev vduse name run0 path ${BIG}`), { status: 0, stdout: '', stderr: '' });
    const disk = await diskOf('run0');
    await kill('run0');
    assert.equal(
      await refused('run0', `path ${SMALL}`),
      `vdpa: Instance run0 was created with path ${BIG}, not ${SMALL}; size ${64 * MIB}, not ${8 * MIB}: serve it with ` +
        'the same settings, or use "force"\n',
    );
    assert.equal(sectorsOf(disk), (64 * MIB) / 512);
    // A supervisor does not bypass this.
    assert.match(await refused('run0', `path ${SMALL} restart on`), /created with path/);
    await bash(`cp --sparse=always ${BIG} /tmp/moved.img`);
    assert.match(await refused('run0', 'path /tmp/moved.img'), /path \/tmp\/big\.img, not \/tmp\/moved\.img: /);
    const moved = vdpa('vduse serve name run0 path /tmp/moved.img restart on force');
    const { pid = 0, path } = await served('run0');
    assert.equal(path, '/tmp/moved.img');
    await bash(
      `dd if=/dev/urandom of=${disk} bs=1M count=1 oflag=direct status=none; cmp -n 1048576 ${disk} /tmp/moved.img`,
    );
    // The forced settings are now the recorded ones: they are no difference for the next server.
    process.kill(pid, 'SIGKILL');
    assert.equal((await served('run0', pid)).path, '/tmp/moved.img');
    await del('run0')();
    assert.equal((await moved).status, 0);
  });

  test('of an idle instance, with any other difference: rejected by name', async () => {
    await bash(`rm -f ${BIG} ${SMALL}; truncate -s 64M ${BIG}; truncate -s 8M ${SMALL}`);
    await idle('idle0', `path ${BIG} serial S1 readonly`);
    assert.match(await refused('idle0', `path ${BIG} serial S1`), /readonly true, not false/);
    for (const [words, message] of [
      [`path ${SMALL} serial S1 readonly`, `path ${BIG}, not ${SMALL}`],
      [`path ${BIG} readonly`, 'serial S1, not idle0'],
      [`path ${BIG} serial S1 readonly size 32M`, `size (none), not ${32 * MIB}`],
      [`path ${BIG} serial S1 readonly queue_size 128`, 'queue_size 256, not 128'],
      [`path ${BIG} serial S1 readonly packed on`, 'packed false, not true'],
      [`path ${BIG} serial S1 readonly block_size 4096`, 'block_size 512, not 4096'],
      [`backend null size 64M serial S1 readonly`, 'backend file, not null'],
      ['type net', 'type block, not net'],
    ] as const) {
      assert.ok((await refused('idle0', words)).includes(message), message);
    }
    // Even force does not change these.
    assert.match(
      await refused('idle0', `path ${BIG} serial S1 readonly queue_size 128 force`),
      /queue_size 256, not 128: serve it with the same settings\n$/,
    );
    await taken('idle0', `path ${BIG} serial S1 readonly`, del('idle0'));
  });

  test('of a network device with another address, MTU or tap: rejected', async () => {
    await idle('net0', 'type net ifname vdpat0 mtu 1400');
    for (const [words, message] of [
      ['ifname vdpat0', 'mtu 1400, not (none)'],
      ['ifname vdpat0 mtu 1400 mac 02:00:00:00:00:09', ', not 02:00:00:00:00:09'],
      ['ifname vdpat1 mtu 1400', 'ifname vdpat0, not vdpat1'],
      ['mtu 1400', 'backend tap, not loopback'],
    ] as const) {
      assert.ok((await refused('net0', `type net ${words}`)).includes(message), message);
    }
    await taken('net0', 'type net ifname vdpat0 mtu 1400', del('net0'));
  });

  test('with the same file renamed or grown: accepted; with a replaced or shorter one: rejected', async () => {
    await bash(`rm -f ${BIG} /tmp/link.img; truncate -s 64M ${BIG}; ln ${BIG} /tmp/link.img`);
    await idle('file0', `path ${BIG}`);
    await bash(`truncate -s 80M ${BIG}`);
    const second = vdpa('vduse serve name file0 path /tmp/link.img');
    assert.equal((await served('file0')).size, 80 * MIB);
    // It also grows while it is served.
    await bash(`truncate -s 96M ${BIG}`);
    await until('the server has seen it', async () => (await show('file0'))?.size === 96 * MIB);
    await kill('file0');
    await second;
    await bash(`truncate -s 64M ${BIG}`);
    assert.ok((await refused('file0', `path ${BIG}`)).includes(`size ${96 * MIB}, not ${64 * MIB}`));
    await bash(`truncate -s 96M ${BIG}; cp --sparse=always ${BIG} /tmp/copy; mv /tmp/copy /tmp/link.img`);
    assert.match(await refused('file0', 'path /tmp/link.img'), /file inode \d+ of \d+:\d+, not inode \d+ of /);
    await taken('file0', `path ${BIG}`, del('file0'));
  });

  test('that exited normally with its device on the bus: the same applies', async () => {
    await bash(`rm -f ${BIG} ${SMALL}; truncate -s 64M ${BIG}; truncate -s 8M ${SMALL}`);
    await vdpa(`dev add mgmtdev vduse name left0 path ${BIG}`);
    process.kill((await served('left0')).pid ?? 0, 'SIGTERM');
    await until('it has ended', () => runningServers().length === 0);
    assert.equal(statSync('/run/vdpa/vduse/left0/instance').mode & 0o777, 0o600);
    assert.match(await refused('left0', `path ${SMALL}`), /created with path/);
    await taken('left0', `path ${BIG}`, del('left0'));
  });

  test('whose server had no record: accepted if the kernel reports the same properties', async () => {
    await bash(`rm -f ${BIG} ${SMALL}; truncate -s 64M ${BIG}; truncate -s 8M ${SMALL}`);
    await idle('old0', `path ${BIG}`);
    rmSync('/run/vdpa/vduse/old0/instance');
    assert.match(await refused('old0', `path ${BIG} queues 2`), /was not created with 2 queues/);
    await taken('old0', `path ${BIG}`, del('old0'));
  });
});
