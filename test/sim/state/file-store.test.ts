import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, beforeEach, describe, test } from 'node:test';
import { check } from '../../../src/generated/sim-state.js';
import { SimulationError } from '../../../src/sim/error.js';
import { Simulation, statePath } from '../../../src/sim/simulation.js';
import { FileStore } from '../../../src/sim/state/file-store.js';
import { parseState } from '../../../src/sim/state/parser.js';
import { bootState, bareMachine } from '../../../src/sim/state/model.js';
import type { SimState } from '../../../src/sim/state/model.js';
import { VdpaClient } from '../../../src/vdpa/client.js';
import { Random } from '../../support/random.js';
import { program, programEnv } from '../../support/simulating-program.js';

const lockCalls = async () => ({ file: await import('../../../src/sys/file.js') });

/** Whether a process has this file open. */
function hasOpen(pid: number | undefined, path: string): boolean {
  try {
    const folder = `/proc/${pid ?? ''}/fd`;
    return readdirSync(folder).some((fd) => readlinkSync(`${folder}/${fd}`) === path);
  } catch {
    return false; // A descriptor was closed in the meantime.
  }
}

/** The arguments that add a device, as words. */
const addition = (name: string): string[] => ['dev', 'add', 'name', name, 'mgmtdev', 'vdpasim_net'];

/** What a batch adds and deletes: in turn, as long as it is let. */
const churn = (prefix: string): readonly { readonly sign: '+' | '-'; readonly name: string }[] =>
  Array.from({ length: 10_000 }, (_none, count) => `${prefix}-${count}`).flatMap((name, count) => [
    { sign: '+', name },
    ...(count % 3 === 2 ? [{ sign: '-', name } as const] : []),
  ]);
const linesOf = (changes: ReturnType<typeof churn>): string =>
  changes.map(({ sign, name }) => `${(sign === '+' ? addition(name) : ['dev', 'del', name]).join(' ')}\n`).join('');

describe('where the state is kept', () => {
  test('VDPA_SIM_STATE names the file', () => {
    assert.equal(statePath({ VDPA_SIM_STATE: '/a/b.json', XDG_STATE_HOME: '/x' }), '/a/b.json');
  });

  test('otherwise it is below XDG_STATE_HOME, which must be absolute', () => {
    assert.equal(statePath({ XDG_STATE_HOME: '/x' }), '/x/vdpa/sim.json');
    assert.match(statePath({ XDG_STATE_HOME: 'x' }), /\/\.local\/state\/vdpa\/sim\.json$/);
    assert.match(statePath({ VDPA_SIM_STATE: '' }), /\/\.local\/state\/vdpa\/sim\.json$/);
  });
});

describe('without a home folder in the environment', () => {
  for (const HOME of ['', 'relative', undefined]) {
    test(`HOME ${HOME === undefined ? 'unset' : `"${HOME}"`}: that of the system's list of users`, () => {
      assert.equal(statePath({ HOME }), join(userInfo().homedir, '.local/state/vdpa/sim.json'));
    });
  }

  test('HOME= writes nothing into the working folder, and an unknown user gets an error', () => {
    const folder = mkdtempSync(join(tmpdir(), 'vdpa-home-'));
    const forget = `
      import os from 'node:os';
      os.userInfo = () => { throw new Error('ENOENT: no such file or directory, uv_os_get_passwd'); };`;
    const { status, stderr } = spawnSync(
      process.execPath,
      ['--import', `data:text/javascript,${encodeURIComponent(forget)}`, program, '--sim', ...addition('foo0')],
      { cwd: folder, env: { ...programEnv, HOME: '' }, encoding: 'utf8' },
    );
    assert.deepEqual(readdirSync(folder), []);
    assert.match(stderr, /^No home folder .*VDPA_SIM_STATE/);
    assert.equal(status, 1);
    rmSync(folder, { recursive: true });
  });
});

describe('the state file', () => {
  let folder: string;
  let path: string;
  let environment: Record<string, string>;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'vdpa-sim-'));
  });

  beforeEach(() => {
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    path = join(folder, 'sim.json');
    environment = { VDPA_SIM_STATE: path };
  });

  after(() => {
    rmSync(folder, { recursive: true });
  });

  /** Starts the program on the machine. */
  const start = (...args: string[]) => {
    const child = spawn(process.execPath, [program, '--sim', ...args], {
      env: { ...programEnv, ...environment },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    // It may be killed while it is written to.
    child.stdin.on('error', () => undefined);
    return child;
  };

  const withClient = async <Result>(work: (client: VdpaClient) => Promise<Result>): Promise<Result> => {
    const client = await VdpaClient.open({ transport: await new Simulation(environment).open() });
    try {
      return await work(client);
    } finally {
      await client.close();
    }
  };
  const add = (name: string): Promise<void> =>
    withClient((client) => client.addDevice({ name, managementDevice: 'vdpasim_net' }));
  const deviceNames = async (): Promise<string[]> =>
    (await withClient((client) => client.devices())).map(({ name }) => name);
  const stored = (): SimState => JSON.parse(readFileSync(path, 'utf8')) as SimState;

  test('changes made by one process are seen by the next', async () => {
    await add('foo0');
    await add('foo1');
    assert.deepEqual(await deviceNames(), ['foo0', 'foo1']);
    await withClient((client) => client.deleteDevice('foo0'));
    assert.deepEqual(await deviceNames(), ['foo1']);
  });

  test('it obeys its schema, and only its owner can read it', async () => {
    await add('näme "\u0001\udcff');
    await withClient((client) =>
      client.addDevice({
        name: 'foo0',
        managementDevice: 'vdpasim_net',
        mac: '02:00:00:00:00:01',
        mtu: 9000,
        features: 0x3_0000_0028n,
      }),
    );
    assert.equal(check(stored()), undefined);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(await deviceNames(), ['näme "\u0001\udcff', 'foo0']);
  });

  test('a folder for it is created, which only its owner can access', async () => {
    path = join(folder, 'deep/er/sim.json');
    environment = { VDPA_SIM_STATE: path };
    await add('foo0');
    assert.equal(statSync(join(folder, 'deep/er')).mode & 0o777, 0o700);
  });

  test('reading writes nothing', async () => {
    assert.deepEqual(await deviceNames(), []);
    assert.deepEqual(readdirSync(folder), []);
    await add('foo0');
    const before = statSync(path, { bigint: true });
    await deviceNames();
    await assert.rejects(add('foo0'), { code: 'EEXIST' });
    const afterwards = statSync(path, { bigint: true });
    assert.deepEqual([afterwards.ino, afterwards.mtimeNs], [before.ino, before.mtimeNs]);
  });

  test('an empty file, as created by mktemp, is a new machine', async () => {
    writeFileSync(path, '');
    assert.deepEqual(await deviceNames(), []);
    await add('foo0');
    assert.deepEqual(await deviceNames(), ['foo0']);
  });

  const good = (): SimState => bootState(bareMachine);
  const damages: Record<string, string> = {
    'half of it': JSON.stringify(good()).slice(0, 100),
    'no JSON': 'hello',
    'another kind of JSON': '[1, 2]',
    'nothing known': '{}',
    'an unknown field': JSON.stringify({ ...good(), color: 'red' }),
    'a feature word that is a number': JSON.stringify({
      ...good(),
      devices: [{ name: 'foo0', mgmtdev: 'vdpasim_net', features: 3 }],
    }),
    'a device without a management device': JSON.stringify({
      ...good(),
      devices: [{ name: 'foo0', mgmtdev: 'nosuch' }],
    }),
    'a VDUSE device without its instance': JSON.stringify({ ...good(), devices: [{ name: 'foo0', mgmtdev: 'vduse' }] }),
    'two devices with the same name': JSON.stringify({
      ...good(),
      devices: [
        { name: 'foo0', mgmtdev: 'vdpasim_net' },
        { name: 'foo0', mgmtdev: 'vdpasim_net' },
      ],
    }),
    'another version': JSON.stringify({ ...good(), version: 1 }),
  };
  for (const [damage, text] of Object.entries(damages)) {
    test(`${damage}: a clear error, and the file is unchanged`, async () => {
      writeFileSync(path, text);
      for (const attempt of [deviceNames, () => add('foo0')]) {
        await assert.rejects(attempt, (error) => {
          assert.ok(error instanceof SimulationError);
          assert.ok(error.message.includes(path), error.message);
          assert.match(error.message, /vdpa sim reset/);
          return true;
        });
      }
      assert.equal(readFileSync(path, 'utf8'), text);
      assert.deepEqual(readdirSync(folder), ['sim.json']);
    });
  }

  test('neither a symbolic link nor a pipe nor a folder is used', async () => {
    const target = join(folder, 'target');
    writeFileSync(target, '');
    symlinkSync(target, path);
    await assert.rejects(deviceNames, /is a symbolic link/);
    await assert.rejects(add('foo0'), /is a symbolic link/);
    assert.equal(readFileSync(target, 'utf8'), '');
    rmSync(path);
    mkdirSync(path);
    await assert.rejects(add('foo0'), SimulationError);
    rmSync(path, { recursive: true });
    assert.equal(spawnSync('mkfifo', [path]).status, 0);
    await assert.rejects(deviceNames, /not a regular file/);
  });

  test('a symbolic link planted where the next state is written is not followed', async () => {
    const target = join(folder, 'target');
    await add('foo0');
    symlinkSync(target, `${path}.new`);
    await add('foo1');
    assert.equal(existsSync(target), false);
    assert.deepEqual(await deviceNames(), ['foo0', 'foo1']);
  });

  test('100 concurrent processes lose nothing', async () => {
    const names = Array.from({ length: 100 }, (_none, at) => `p${at}`);
    const statuses = await Promise.all(
      names.map(async (name) => {
        const child = start('-b', '-');
        child.stdin.end(['a', 'b'].map((end) => `${addition(`${name}${end}`).join(' ')}\n`).join(''));
        const [status] = (await once(child, 'exit')) as [number | null];
        return status;
      }),
    );
    assert.deepEqual(new Set(statuses), new Set([0]));
    const expected = names.flatMap((name) => [`${name}a`, `${name}b`]);
    assert.deepEqual((await deviceNames()).sort(), expected.sort());
  });

  test('the lock is fair: whoever has waited longest is next', async () => {
    await add('first');
    const { file } = await lockCalls();
    const held = openSync(path, 'r+');
    assert.equal(file.flock(held, file.LOCK_EX), 0);
    const children: ChildProcess[] = [];
    const startWaiting = async (name: string): Promise<void> => {
      const child = start(...addition(name));
      children.push(child);
      while (!hasOpen(child.pid, `${path}.lock`)) await sleep(5);
    };
    await startWaiting('oldest');
    await Promise.all(Array.from({ length: 12 }, (_none, at) => startWaiting(`later${at}`)));
    closeSync(held);
    for (const child of children) if (child.exitCode === null) await once(child, 'exit');
    assert.deepEqual((await deviceNames()).slice(0, 2), ['first', 'oldest']);
    assert.equal((await deviceNames()).length, 14);
  });

  test('a process that keeps the lock and changes nothing is named', async () => {
    await add('first');
    const { file } = await lockCalls();
    const held = openSync(path, 'r+');
    assert.equal(file.flock(held, file.LOCK_EX), 0);
    const store = new FileStore(path, { timeoutMs: 300 });
    await store.prepare();
    const update = (): void => {
      store.update((state) => {
        state.devices.pop();
      });
    };
    const message = `locked by process ${process.pid} without progress for 0.3 s`;
    assert.throws(update, (error) => error instanceof SimulationError && error.message.includes(message));
    closeSync(held);
    update();
  });

  test('many that change it in turn are no reason to give up', async () => {
    const churns = Array.from({ length: 4 }, (_none, at) => {
      const child = start('-j', '-b', '-');
      child.stdin.end(linesOf(churn(`c${at}`)));
      return child;
    });
    try {
      await Promise.all(churns.map(({ stdout }) => once(stdout, 'data')));
      for (const { stdout } of churns) stdout.resume();
      const store = new FileStore(path, { timeoutMs: 1000 });
      await store.prepare();
      for (let count = 0; count < 20; count++) {
        store.update((state) => {
          state.devices.push({ name: `mine${count}`, mgmtdev: 'vdpasim_net' });
        });
      }
    } finally {
      await Promise.all(
        churns.map((child) => {
          child.kill('SIGKILL');
          return once(child, 'exit');
        }),
      );
    }
    assert.equal((await deviceNames()).filter((name) => name.startsWith('mine')).length, 20);
  });

  test('it is created even without hard links, as in some containers', () => {
    const refuse = `
      import fs from 'node:fs';
      import { syncBuiltinESMExports } from 'node:module';
      fs.linkSync = () => { throw Object.assign(new Error('EPERM: operation not permitted, link'), { code: 'EPERM' }); };
      syncBuiltinESMExports();`;
    const { status, stderr } = spawnSync(
      process.execPath,
      ['--import', `data:text/javascript,${encodeURIComponent(refuse)}`, program, '--sim', ...addition('foo0')],
      { env: { ...programEnv, ...environment }, encoding: 'utf8' },
    );
    assert.deepEqual([status, stderr], [0, '']);
    assert.deepEqual(
      stored().devices.map(({ name }) => name),
      ['foo0'],
    );
  });

  test('a kill at any moment leaves an intact file with every acknowledged change, and no lock', async () => {
    const random = new Random(1);
    const acknowledged = new Set<string>();
    for (let round = 0; round < 25; round++) {
      const changes = churn(`r${round}`);
      const child = start('-j', '-b', '-');
      child.stdin.end(linesOf(changes));
      let told = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        told += text;
      });
      await once(child.stdout, 'data');
      setTimeout(() => child.kill('SIGKILL'), random.below(40));
      await once(child, 'close');
      // Each line is answered once it is done.
      for (const { sign, name } of changes.slice(0, told.split('{}\n').length - 1)) {
        if (sign === '+') acknowledged.add(name);
        else acknowledged.delete(name);
      }
      // Intact, except for a last change during which it was killed.
      parseState(readFileSync(path, 'utf8'), path);
      const there = new Set(await deviceNames());
      // The change in progress when the process was killed may have been made.
      const lost = [...acknowledged].filter((name) => !there.has(name));
      assert.ok(lost.length <= 1, `lost: ${lost.join(', ')}`);
      const more = [...there].filter((name) => !acknowledged.has(name));
      assert.ok(more.length <= 1, `not acknowledged: ${more.join(', ')}`);
      for (const name of lost) acknowledged.delete(name);
      for (const name of more) acknowledged.add(name);
      const begun = performance.now();
      await add(`after${round}`);
      assert.ok(performance.now() - begun < 1000, 'the lock was free');
      acknowledged.add(`after${round}`);
    }
    assert.deepEqual(
      readdirSync(folder).filter(
        (name) => !['sim.json', 'sim.json.events', 'sim.json.lock', 'sim.json.new'].includes(name),
      ),
      [],
    );
  });

  test('two machines of one process see the changes of the other', async () => {
    const [one, other] = [new FileStore(path), new FileStore(path)];
    await Promise.all([one.prepare(), other.prepare()]);
    const push = (name: string) => (state: SimState) => {
      state.devices.push({ name, mgmtdev: 'vdpasim_net' });
    };
    for (let count = 0; count < 50; count++) {
      one.update(push(`one${count}`));
      other.update(push(`other${count}`));
      assert.equal(one.read().devices.length, 2 * count + 2);
    }
    one.close();
    other.close();
  });

  test('a change that fails halfway changes nothing', async () => {
    const store = new FileStore(path);
    await store.prepare();
    assert.throws(() => {
      store.update((state) => {
        state.devices.push({ name: 'foo0', mgmtdev: 'vdpasim_net' });
        throw new Error('no');
      });
    }, /no/);
    assert.deepEqual(store.read().devices, []);
    store.update((state) => {
      state.devices.push({ name: 'foo1', mgmtdev: 'vdpasim_net' });
    });
    assert.deepEqual(
      stored().devices.map(({ name }) => name),
      ['foo1'],
    );
  });
});
