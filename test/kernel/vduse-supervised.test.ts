import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { nothingLeft, runningServers } from '../support/kernel/lab/leftovers.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { done, newServer, serverOf, vdpaProcess } from '../support/kernel/servers/supervised.js';
import { bash, diskOf, sh, start, until } from '../support/kernel/servers/vduse.js';

const { afterEach, describe, test } = testsWith(VDUSE);

const VDPA = '/run/bin/vdpa';
const FILE = '/tmp/supervised';
const NOBODY = 65534;

/** What /proc says about each thread of a process. */
function threads(pid: number): {
  readonly uid: string;
  readonly gid: string;
  readonly groups: string;
  readonly capabilities: string;
  readonly noNewPrivileges: string;
}[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
    const field = (key: string): string => (new RegExp(`^${key}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '').trim();
    return {
      uid: field('Uid'),
      gid: field('Gid'),
      groups: field('Groups'),
      capabilities: [field('CapPrm'), field('CapEff'), field('CapInh'), field('CapAmb')].join(' '),
      noNewPrivileges: field('NoNewPrivs'),
    };
  });
}

/** Waits until a killed server and its supervisor are dead. */
async function nothingLeftInTheEnd(): Promise<void> {
  await until('no server is left', () => runningServers().length === 0);
  nothingLeft();
}

afterEach(nothingLeftInTheEnd);

describe('a server that runs as another user', () => {
  test('drops privileges in every thread: user, groups, capabilities, no_new_privs; serves, restarts, stops', async () => {
    await bash(`rm -f ${FILE}; truncate -s 16M ${FILE}; chmod 600 ${FILE}`);
    await done(`dev add mgmtdev vduse name user0 path ${FILE} user nobody restart on`);
    const disk = await diskOf('user0');
    const { pid } = await serverOf('user0');
    const check = (server: number): void => {
      for (const thread of threads(server)) {
        assert.deepEqual(thread, {
          uid: Array(4).fill(NOBODY).join('\t'),
          gid: Array(4).fill(NOBODY).join('\t'),
          groups: String(NOBODY),
          capabilities: Array(4).fill('0000000000000000').join(' '),
          noNewPrivileges: '1',
        });
      }
    };
    check(pid);
    await bash(`dd if=/dev/urandom of=${disk} bs=1M oflag=direct conv=fsync count=16 status=none`);
    process.kill(pid, 'SIGKILL');
    const second = await newServer('user0', pid);
    check(second);
    await bash(`cmp ${disk} ${FILE}`);
    await bash(`dd if=/dev/urandom of=${disk} bs=1M oflag=direct conv=fsync count=16 status=none; cmp ${disk} ${FILE}`);
    await done('dev del user0');
    await nothingLeftInTheEnd();
  });

  for (const [what, user, message] of [
    ['that does not exist', 'nosuchuser', 'Unknown user "nosuchuser"'],
    ['that is root', 'root', 'User root is root: expected an unprivileged user'],
  ] as const) {
    test(`${what}: rejected, nothing left behind`, async () => {
      const { status, stderr } = await vdpaProcess(`dev add mgmtdev vduse name user1 user ${user}`);
      assert.deepEqual([status, stderr], [1, `vdpa: ${message}\n`]);
    });
  }
});

describe('a server with restart on', () => {
  test('killed under fio --verify and restarted: no error, every block verified', async () => {
    await bash(`rm -f ${FILE}; truncate -s 16M ${FILE}`);
    await done(`dev add mgmtdev vduse name again path ${FILE} restart on`);
    const disk = await diskOf('again');
    const fio = start(
      'fio',
      ...['--name=again', `--filename=${disk}`, '--rw=randwrite', '--bs=16k', '--size=16m', '--loops=4'],
      ...['--verify=crc32c', '--verify_fatal=1', '--ioengine=libaio', '--direct=1', '--iodepth=16'],
    );
    let { pid } = await serverOf('again');
    for (let kills = 0; kills < 3; kills++) {
      process.kill(pid, 'SIGKILL');
      pid = await newServer('again', pid);
    }
    const { status, stdout, stderr } = await fio;
    assert.equal(status, 0, stdout + stderr);
    assert.equal((await serverOf('again')).errors, 0);
    await done('dev del again');
  });

  test('stopped by SIGTERM to its supervisor, nothing is left behind', async () => {
    await bash(`rm -f ${FILE}; truncate -s 16M ${FILE}`);
    const supervisor = start(VDPA, 'vduse', 'serve', 'name', 'fore', 'path', FILE, 'restart', 'on');
    await until('it serves', () => existsSync('/dev/vduse/fore') && existsSync('/run/vdpa/vduse/fore/socket'));
    const { pid } = await serverOf('fore');
    const parent = Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
    process.kill(parent, 'SIGTERM');
    assert.equal((await supervisor).status, 0);
  });

  test('with a device in memory: rejected, since its data would be lost', async () => {
    const { status, stderr } = await vdpaProcess('dev add mgmtdev vduse name mem restart on');
    assert.notEqual(status, 0);
    assert.match(stderr, /mem is a disk in memory/);
  });
});

describe('a server that was killed', () => {
  test('is replaced by "vdpa vduse serve", and the guest continues', async () => {
    await bash(`rm -f ${FILE}; truncate -s 16M ${FILE}`);
    await done(`dev add mgmtdev vduse name hand path ${FILE}`);
    const disk = await diskOf('hand');
    const { pid } = await serverOf('hand');
    const writing = sh(`dd if=/dev/urandom of=${disk} bs=64k count=256 oflag=direct conv=fsync`);
    process.kill(pid, 'SIGKILL');
    const second = start(VDPA, 'vduse', 'serve', 'name', 'hand', 'path', FILE);
    await newServer('hand', pid);
    await writing;
    await bash(`cmp ${disk} ${FILE}`);
    await done('dev del hand');
    assert.equal((await second).status, 0);
  });

  test('is not replaced by one with other features or another number of queues', async () => {
    await bash(`rm -f ${FILE}; truncate -s 16M ${FILE}`);
    await done(`dev add mgmtdev vduse name other path ${FILE}`);
    process.kill((await serverOf('other')).pid, 'SIGKILL');
    for (const [words, message] of [
      [['readonly'], /features that are no longer offered/],
      [['queues', '2'], /queues 1, not 2/],
    ] as const) {
      await until('it has no server', async () => (await vdpaProcess('-j vduse show other')).stdout.includes('"none"'));
      const { status, stderr } = await start(VDPA, 'vduse', 'serve', 'name', 'other', 'path', FILE, ...words);
      assert.notEqual(status, 0);
      assert.match(stderr, message);
    }
    const third = start(VDPA, 'vduse', 'serve', 'name', 'other', 'path', FILE);
    await newServer('other', 0);
    await done('dev del other');
    assert.equal((await third).status, 0);
  });
});

describe('the runtime folder', () => {
  test('and its socket are for their user alone: 0700 and 0600', async () => {
    await done('dev add mgmtdev vduse name modes serve');
    for (const folder of ['/run/vdpa', '/run/vdpa/vduse', '/run/vdpa/vduse/modes']) {
      assert.equal(statSync(folder).mode & 0o777, 0o700, folder);
    }
    for (const file of ['socket', 'lock']) {
      assert.equal(statSync(`/run/vdpa/vduse/modes/${file}`).mode & 0o777, 0o600, file);
    }
    await done('dev del modes');
  });

  test('that is a symbolic link or belongs to another user is not used', async () => {
    rmSync('/run/vdpa', { recursive: true, force: true });
    mkdirSync('/tmp/trap', { recursive: true });
    symlinkSync('/tmp/trap', '/run/vdpa');
    const link = await vdpaProcess('dev add mgmtdev vduse name trapped serve');
    assert.notEqual(link.status, 0);
    assert.deepEqual(readdirSync('/tmp/trap'), []);
    rmSync('/run/vdpa');
    mkdirSync('/run/vdpa', { mode: 0o700 });
    chownSync('/run/vdpa', NOBODY, NOBODY);
    const foreign = await vdpaProcess('dev add mgmtdev vduse name trapped serve');
    assert.notEqual(foreign.status, 0);
    assert.match(foreign.stderr, /owner 65534/);
    rmSync('/run/vdpa', { recursive: true });
    mkdirSync('/run/vdpa/vduse', { recursive: true, mode: 0o700 });
    symlinkSync('/tmp/trap', '/run/vdpa/vduse/trapped');
    assert.notEqual((await vdpaProcess('dev add mgmtdev vduse name trapped serve')).status, 0);
    assert.deepEqual(readdirSync('/tmp/trap'), []);
    rmSync('/run/vdpa', { recursive: true });
  });

  test('cannot be escaped by a path as a name', async () => {
    for (const name of ['../x', '..', 'a/b', '/etc/passwd', 'control']) {
      for (const command of [`vduse serve name ${name}`, `vduse del ${name}`, `vduse show ${name}`]) {
        const { status, stderr } = await vdpaProcess(command);
        assert.notEqual(status, 0, command);
        assert.notEqual(stderr, '', command);
      }
    }
  });
});
