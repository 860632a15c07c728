/** The script of contrib/kubernetes in a process namespace of its own, as in a pod: all its servers die with it. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { nothingLeft } from '../support/kernel/lab/leftovers.js';
import { needs, SIMULATORS, testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { bash, diskOf, start, until } from '../support/kernel/servers/vduse.js';
import { readMounted } from '../support/kubernetes-example.js';

const { after, afterEach, before, test } = testsWith(VDUSE);

const FOLDER = '/tmp/pod';
const [SCRIPT, STATE, MATCHES] = [`${FOLDER}/apply.sh`, `${FOLDER}/state.json`, `${FOLDER}/matches`];
const disk0 = { name: 'disk0', mgmtdev: 'vduse', server: { path: `${FOLDER}/disk0.img` } };

before(async () => {
  mkdirSync(FOLDER);
  await bash(`truncate -s 16M ${FOLDER}/disk0.img`);
  writeFileSync(SCRIPT, readMounted('vdpa-apply', 'apply.sh'));
});

afterEach(nothingLeft);

after(() => {
  rmSync(FOLDER, { recursive: true });
});

/** Replaces the file as a whole, as a ConfigMap's is. */
function write(...devices: readonly object[]): void {
  writeFileSync(`${STATE}.new`, JSON.stringify({ version: 1, devices }));
  renameSync(`${STATE}.new`, STATE);
}

interface Pod {
  readonly unshare: ChildProcess;
  readonly log: () => string;
}

function startPod(): Pod {
  rmSync(MATCHES, { force: true });
  const isolated = ['--pid', '--fork', '--mount-proc', '--kill-child'];
  const unshare = spawn('unshare', [...isolated, 'sh', SCRIPT, STATE, FOLDER, '1'], {
    env: { ...process.env, PATH: `/run/bin:${process.env['PATH'] ?? ''}` },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let log = '';
  unshare.stdout.setEncoding('utf8').on('data', (text: string) => (log += text));
  return { unshare, log: () => log };
}

async function kill({ unshare }: Pod): Promise<void> {
  unshare.kill('SIGKILL');
  await once(unshare, 'close');
}

/** Whether its last run had nothing to change. */
const isDone = ({ log }: Pod): boolean => log().endsWith('{"changed":false,"dry_run":false,"changes":[]}\n');

const devices = (): string[] => readdirSync('/sys/bus/vdpa/devices').sort();

test(
  'makes what the file names, deletes what it does not, says so once, and reports a file that is wrong',
  needs(...SIMULATORS),
  async () => {
    write(disk0, { name: 'net0', mgmtdev: 'vdpasim_net' });
    const pod = startPod();
    await until('the devices match', () => existsSync(MATCHES));
    assert.deepEqual(devices(), ['disk0', 'net0']);
    write(disk0);
    await until('net0 is deleted', () => devices().join() === 'disk0');
    write({ ...disk0, mtu: 'x' });
    await until('the devices do not match', () => !existsSync(MATCHES));
    await until('the reason is printed', () => pod.log().includes('/devices/0/mtu'));
    assert.match(pod.log(), /"action":"delete","name":"net0"/);
    write();
    await until('disk0 is deleted', () => devices().length === 0 && existsSync(MATCHES));
    await until('there is nothing to change', () => isDone(pod));
    const said = pod.log();
    await start('sleep', '3');
    assert.equal(pod.log(), said);
    await kill(pod);
    nothingLeft();
  },
);

test('killed and replaced under fio --verify: the next pod continues, without an error', async () => {
  write(disk0);
  let pod = startPod();
  const disk = await diskOf('disk0');
  const fio = start(
    'fio',
    ...['--name=pod', `--filename=${disk}`, '--rw=randwrite', '--bs=16k', '--size=16m', '--loops=3'],
    ...['--verify=crc32c', '--verify_fatal=1', '--ioengine=libaio', '--direct=1', '--iodepth=16'],
  );
  for (let kills = 0; kills < 3; kills++) {
    await until('the devices match', () => existsSync(MATCHES));
    await start('sleep', '0.3');
    await kill(pod);
    pod = startPod();
  }
  const { status, stdout, stderr } = await fio;
  assert.equal(status, 0, stdout + stderr);
  await bash(`sync; cmp ${disk} ${FOLDER}/disk0.img`);
  write();
  await until('disk0 is deleted', () => devices().length === 0 && isDone(pod));
  await kill(pod);
});
