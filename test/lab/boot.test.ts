import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import type { Ending, Session } from '../../lab/boot.js';
import { boot } from '../../lab/boot.js';
import { checkoutRoot } from '../../lab/cache.js';
import type { BuiltMachine } from '../../lab/machine/machine.js';
import { machines, needsLab, theLab } from '../support/lab.js';

interface Run {
  readonly ending: Ending;
  readonly stdout: string;
  readonly stderr: string;
}

/** Boots a machine and runs a shell command line on it. */
async function runOn(machine: BuiltMachine, line: string, session: Partial<Session> = {}): Promise<Run> {
  const outputs = { stdout: '', stderr: '' };
  const ending = await boot(
    theLab(machine),
    { command: ['sh', '-c', line], cwd: checkoutRoot, timeLimitMs: 180_000, ...session },
    {
      stdout: (bytes) => (outputs.stdout += Buffer.from(bytes).toString('latin1')),
      stderr: (bytes) => (outputs.stderr += Buffer.from(bytes).toString('latin1')),
    },
  );
  return { ending, ...outputs };
}

const aCommand = (machine: BuiltMachine) => () => {
  /** Runs a line that ends by itself. If it does not, the kernel messages may show why. */
  const run = async (line: string, session: Partial<Session> = {}): Promise<Run> => {
    const result = await runOn(machine, line, { kernelParameters: ['ignore_loglevel'], ...session });
    if (result.ending.kind !== 'exited') assert.fail(inspect(result, { maxStringLength: null }));
    return result;
  };

  test('returns its status, and its two outputs separately', async () => {
    assert.deepEqual(await run('echo out; echo err >&2; exit 7'), {
      ending: { kind: 'exited', status: 7 },
      stdout: 'out\n',
      stderr: 'err\n',
    });
    assert.deepEqual((await run('kill -9 $$')).ending, { kind: 'exited', status: 137 });
    assert.deepEqual((await run('', { command: ['nosuch-command'] })).ending, { kind: 'exited', status: 127 });
  });

  test('gets its arguments unchanged', async () => {
    const words = ["it's", 'a "word"', '$HOME `id` \\', 'two\nlines', ''];
    const { stdout } = await run('', { command: ['printf', '<%s>', ...words] });
    assert.equal(stdout, words.map((word) => `<${word}>`).join(''));
  });

  test('reads its standard input, or nothing', async () => {
    const input = randomBytes(100_000);
    const { stdout } = await run('md5sum', { input });
    assert.equal(stdout.slice(0, 32), createHash('md5').update(input).digest('hex'));
    assert.equal((await run('wc -c')).stdout.trim(), '0');
  });

  test('can print a lot', async () => {
    const { stdout } = await run('head -c 20M /dev/zero | tr "\\0" x');
    assert.equal(stdout.length, 20 * 2 ** 20);
    assert.equal(stdout.replaceAll('x', ''), '');
  });

  test('finds the machine set up', async () => {
    const lines = ['hostname', 'node -p process.version', 'id -u', 'cat /run/lab-machine', 'pwd'];
    const { stdout } = await run(lines.join('; '));
    const [hostname, node, uid, name, cwd] = stdout.split('\n');
    assert.deepEqual(
      { hostname, node, uid, name, cwd },
      { hostname: 'lab', node: process.version, uid: '0', name: machine, cwd: checkoutRoot },
    );
    const { stdout: environment } = await run('env');
    assert.doesNotMatch(environment, /^(NODE_EXTRA_CA_CERTS|LAB_(?!CHECKOUT)\w+)=/m);
    assert.deepEqual((await run('ls -d /dev/fd/0 /dev/vduse /sys/bus/vdpa /dev/pts/ptmx /dev/net/tun')).stderr, '');
    assert.match((await run('cat /sys/class/net/lo/flags')).stdout, /^0x9$/m);
  });

  test('has its own folders to write to, and cannot change the machine', async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'vdpa-lab-test-'));
    context.after(() => {
      rmSync(folder, { recursive: true });
    });
    const file = join(folder, 'file');
    writeFileSync(file, 'content', { mode: 0o600 });
    const { stdout } = await run('for f in /tmp /run /var/tmp /dev/shm "$HOME"; do echo x >"$f/x" && echo "$f"; done');
    assert.deepEqual(stdout.split('\n'), ['/tmp', '/run', '/var/tmp', '/dev/shm', '/tmp/home', '']);
    const { stderr } = await run(
      `echo x >${checkoutRoot}/written; rm -f ${checkoutRoot}/package.json; echo x >/etc/written`,
    );
    assert.match(stderr, /^(.*Read-only file system\n){3}$/);
    if (theLab(machine).user.id !== undefined) {
      // Not even if the root file system is remounted writable: the guest's user on the host has no write permission.
      await run(
        `mount -o remount,rw /; echo x >/etc/written; echo x >${checkoutRoot}/written; umount /tmp; echo x >${file}`,
      );
    }
    assert.equal(readFileSync(file, 'utf8'), 'content');
    assert.equal(existsSync('/etc/written') || existsSync(join(checkoutRoot, 'written')), false);
    assert.ok(statSync(join(checkoutRoot, 'package.json')).size > 0);
  });

  test('may have a kernel without some feature: tests that need it are skipped, with a reason', async () => {
    const files = ['vduse-library', 'vduse-idle'].map((name) =>
      join(checkoutRoot, `build/test/kernel/${name}.test.js`),
    );
    const { ending, stdout } = await run('', {
      command: ['node', '--test', '--test-reporter=tap', ...files],
      kernelParameters: ['initcall_blacklist=vduse_init'],
    });
    assert.deepEqual(ending, { kind: 'exited', status: 0 });
    const results = stdout.match(/^(not )?ok .*$/gm) ?? [];
    assert.ok(results.length >= files.length, stdout);
    for (const result of results) assert.match(result, /^ok .* # SKIP missing: \/dev\/vduse\/control$/);
    assert.match(stdout, /^# pass 0$/m);
  });

  test('is terminated when its time limit expires', async () => {
    // A busy host may need the whole time to boot; then the limit is raised.
    for (let timeLimitMs = { uml: 2000, qemu: 20_000 }[machine]; ; timeLimitMs *= 2) {
      const { ending, stdout } = await runOn(machine, 'echo begun; while :; do :; done', { timeLimitMs });
      assert.equal(ending.kind, 'timed out');
      if (stdout === '' && timeLimitMs < 150_000) continue;
      assert.equal(stdout, 'begun\n');
      return;
    }
  });

  if (machine !== 'uml') {
    test('runs on a second boot if the first program has not started in time', async () => {
      assert.equal((await run('echo again', { startLimitMs: 1 })).stdout, 'again\n');
    });
  }

  test('a panic is reported with the message of the kernel', async () => {
    // Without memory the machine qemu cannot even read the program's next page from the host, and waits forever.
    const { line, message } = {
      uml: { line: 'echo 1 >/proc/sys/vm/panic_on_oom; tail /dev/zero', message: 'Out of memory' },
      qemu: { line: 'echo c >/proc/sysrq-trigger', message: 'sysrq triggered crash' },
    }[machine];
    const { ending } = await runOn(machine, line, { memoryMiB: 128 });
    assert.ok(ending.kind === 'died', inspect(ending));
    assert.ok(ending.console.includes(`Kernel panic - not syncing: ${message}`), ending.console);
  });

  test('a guest that powers off or reboots has not completed its command', async () => {
    assert.equal((await runOn(machine, 'busybox poweroff -f')).ending.kind, 'died');
    assert.equal((await runOn(machine, 'busybox reboot -f')).ending.kind, 'died');
  });

  test('nothing of it remains, even if its parent is killed', async () => {
    const script = `
      const [{ boot }, { theLab }] = await Promise.all([import('./build/lab/boot.js'), import('./build/test/support/lab.js')]);
      await boot(theLab('${machine}'), { command: ['sh', '-c', 'echo begun; sleep 100'], cwd: '/' }, { stdout: (b) => process.stdout.write(b) });`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      cwd: checkoutRoot,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => parent.stdout.once('data', resolve));
    const folder = runFolders().find(({ ppid }) => ppid === parent.pid)?.folder ?? '';
    assert.ok(existsSync(folder));
    assert.notDeepEqual(processesOf(folder), []);
    parent.kill('SIGKILL');
    for (let i = 0; i < 100 && (existsSync(folder) || processesOf(folder).length > 0); i++) await sleep(50);
    assert.deepEqual(processesOf(folder), []);
    assert.equal(existsSync(folder), false);
  });
};

interface Process {
  readonly pid: number;
  readonly ppid: number;
  readonly words: readonly string[];
}

function processes(): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        const ppid = Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
        return [{ pid: Number(pid), ppid, words }];
      } catch {
        return []; // It has exited in the meantime.
      }
    });
}

/** The running keepers, and the folder that each cleans up. */
const runFolders = (): { ppid: number; folder: string }[] =>
  processes().flatMap(({ ppid, words }) => {
    const folder = words[words.findIndex((word) => word.endsWith('/keep.sh')) + 1];
    return folder?.includes('/vdpa-lab-') ? [{ ppid, folder }] : [];
  });

const processesOf = (folder: string): Process[] =>
  processes().filter(({ words }) => words.some((word) => word.includes(folder)));

const npmRunLab = (machine: BuiltMachine) => () => {
  const lab = (...argv: string[]): { file: string; argv: string[] } => ({
    file: process.execPath,
    argv: [join(checkoutRoot, 'scripts/lab.mjs'), '--machine', machine, ...argv],
  });

  /** Runs it with pipes for streams. Returns the status and both outputs. */
  async function start(
    argv: string[],
    input = '',
    env: NodeJS.ProcessEnv = {},
  ): Promise<[number | null, string, string]> {
    const { file, argv: words } = lab(...argv);
    const child = spawn(file, words, { env: { ...process.env, ...env } });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (bytes: Buffer) => (stdout += bytes.toString()));
    child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
    child.stdin.end(input);
    const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
    return [status, stdout, stderr];
  }

  test('runs a command, or a line', async () => {
    assert.deepEqual(await start(['printf', '%s', 'a b']), [0, 'a b', '']);
    assert.deepEqual(await start(['echo a | tr a b; exit 3']), [3, 'b\n', '']);
  });

  test('can have more processors only on the machine qemu', async () => {
    const expected = {
      uml: [125, '', 'lab: User-Mode Linux has one processor; the machine qemu may have more\n'],
      qemu: [0, '3\n', ''],
    };
    assert.deepEqual(await start(['--processors', '3', 'nproc']), expected[machine]);
  });

  test('passes standard input on if requested', async () => {
    assert.deepEqual(await start(['-i', 'cat', '-'], 'input'), [0, 'input', '']);
    assert.deepEqual(await start(['cat', '-'], 'input'), [0, '', '']);
  });

  test('is a shell that reads lines from standard input', async () => {
    assert.deepEqual(await start([], 'cd /tmp\npwd\nexit 4\n'), [4, '/tmp\n', '']);
  });

  test('reports what failed', async () => {
    assert.deepEqual(await start(['--nonsense']), [125, '', 'lab: unknown option --nonsense; see --help\n']);
    const [status, , stderr] = await start(['-t', '1', 'sleep', '60']);
    assert.deepEqual([status, stderr], [124, 'lab: ended by force: still running after 1 s\n']);
    assert.deepEqual(await start(['--machine', 'nonsense', 'true']), [
      125,
      '',
      'lab: unknown machine "nonsense"; expected uml, qemu, debian\n',
    ]);
    const variable = { uml: 'VDPA_LAB_KERNEL', qemu: 'VDPA_LAB_KERNEL_QEMU' }[machine];
    const noKernel = await start(['true'], '', { [variable]: join(checkoutRoot, 'package.json') });
    assert.equal(noKernel[0], 125);
    assert.match(noKernel[2], new RegExp(`^lab: ${variable}=.*package\\.json is not a usable kernel: `));
  });

  test('has a terminal, and its size, if started on one', () => {
    const { file, argv } = lab('tty; stty size; exit 5');
    const line = `stty rows 33 cols 77; '${file}' ${argv.map((word) => `'${word}'`).join(' ')}; echo status $?`;
    const output = execFileSync('script', ['-qec', line, '/dev/null'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const tty = { uml: '/dev/tty0', qemu: '/dev/ttyS0' }[machine];
    assert.equal(output, `${tty}\r\n33 77\r\nstatus 5\r\n`);
  });
};

// The machine debian is the machine qemu with another kernel, which takes three times as long to boot.
for (const machine of machines.filter((kind) => kind !== 'debian')) {
  describe(`a command in the lab, on ${machine}`, needsLab(machine), aCommand(machine));
  describe(`npm run lab, on ${machine}`, needsLab(machine), npmRunLab(machine));
}
