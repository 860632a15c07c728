/** `vdpa save` writes its file completely or not at all, and `vdpa restore` restores what it can. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
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
import { lockState } from '../../src/host/state/lock.js';
import { vdpa, type Outcome } from '../support/command-line.js';
import { checkOutput } from '../support/output-schemas.js';
import { start } from '../support/simulating-program.js';

const root = mkdtempSync(join(tmpdir(), 'vdpa-save-'));
const folder = join(root, 'files');
const file = join(folder, 'state.json');
const env = { VDPA_SIM_STATE: join(root, 'sim.json') };

after(() => {
  rmSync(root, { recursive: true });
});

const sim = (line: string, faults = ''): Promise<Outcome> =>
  vdpa(`--sim ${line}`, { env: { ...env, VDPA_SIM_FAULTS: faults } });

async function boot(...cards: readonly string[]): Promise<void> {
  const machine = join(root, 'machine.json');
  const card = { dev_features: ['MAC', 'VERSION_1', 'ACCESS_PLATFORM'] };
  const mgmtdev = { ...Object.fromEntries(cards.map((handle) => [handle, card])), vdpasim_net: {} };
  writeFileSync(machine, JSON.stringify({ mgmtdev }));
  assert.equal((await sim(`sim init ${machine}`)).status, 0);
}

beforeEach(async () => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  await boot();
  await sim('dev add mgmtdev vdpasim_net name foo0 mac 02:00:00:00:00:01');
});

test('save FILE: what it would print, in a file of one’s own; one that is there keeps its mode and owner', async () => {
  assert.deepEqual(await sim(`save ${file}`), { status: 0, stdout: '', stderr: '' });
  const printed = (await sim('save')).stdout;
  assert.equal(readFileSync(file, 'utf8'), printed);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  chmodSync(file, 0o640);
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) chownSync(file, 65534, 65534);
  const { ino } = statSync(file);
  assert.equal((await sim(`save ${file}`)).status, 0);
  const now = statSync(file);
  assert.notEqual(now.ino, ino);
  assert.deepEqual([now.mode & 0o777, isRoot ? now.uid : 65534], [0o640, 65534]);
  assert.equal((await sim('save -')).stdout, printed);
  assert.deepEqual(readdirSync(folder), ['state.json']);
});

test('save FILE that fails leaves the old file, and nothing beside it', async () => {
  writeFileSync(file, 'old');
  for (const faults of ['dev show errno EIO', 'dev config show errno EIO']) {
    assert.equal((await sim(`save ${file}`, faults)).status, 1, faults);
    assert.equal(readFileSync(file, 'utf8'), 'old');
  }
  symlinkSync(file, join(folder, 'link'));
  const refused = async (path: string): Promise<string> => {
    const { status, stderr } = await sim(`save ${path}`);
    assert.equal(status, 1);
    return stderr.replace(/^Cannot write file ".*": /, '');
  };
  assert.equal(await refused(join(folder, 'link')), 'it is a symbolic link; give the path of its target\n');
  assert.equal(await refused(folder), 'it is not a regular file\n');
  assert.equal(await refused('/dev/null'), 'it is not a regular file\n');
  assert.equal(await refused(join(folder, 'no/such')), 'No such file or directory\n');
  assert.equal(readFileSync(file, 'utf8'), 'old');
  assert.deepEqual(readdirSync(folder).sort(), ['link', 'state.json']);
  assert.match((await sim(`save ${file} now`)).stderr, /^Unknown option "now"/);
});

const wanted = [
  { name: 'card0', mgmtdev: 'pci/0000:03:00.2', mac: '02:00:00:00:00:07' },
  { name: 'foo0', mgmtdev: 'vdpasim_net' },
  { name: 'foo1', mgmtdev: 'vdpasim_net' },
];
const absent = `${file}: line 1 (/devices/0/mgmtdev) no such management device: pci/0000:03:00.2\n`;

test('restore creates what is possible, reports the rest, status 1', async () => {
  writeFileSync(file, JSON.stringify({ version: 1, devices: wanted }));
  assert.deepEqual(await sim(`restore ${file}`), {
    status: 1,
    stdout: '+ foo1 mgmtdev vdpasim_net\n1 change made; not restored: card0.\n',
    stderr: absent,
  });
  const again = await sim(`-j restore ${file}`);
  checkOutput('restore', again.stdout);
  assert.deepEqual(JSON.parse(again.stdout), {
    changed: false,
    dry_run: false,
    changes: [],
    refused: [absent.trimEnd()],
  });
});

test('restore continues after a device that fails', async () => {
  const devices = ['bad0', 'foo1', 'foo2'].map((name) => ({ name, mgmtdev: 'vdpasim_net' }));
  writeFileSync(file, JSON.stringify({ version: 1, devices }));
  assert.deepEqual(await sim(`restore ${file} wait 60`, 'dev add device bad0 errno ENOSPC'), {
    status: 1,
    stdout:
      '+ bad0 mgmtdev vdpasim_net  (failed)\n+ foo1 mgmtdev vdpasim_net\n+ foo2 mgmtdev vdpasim_net\n' +
      '2 changes made; not restored: bad0.\n',
    stderr: 'kernel answers: No space left on device\n',
  });
});

test('restore wait: a management device that comes late gets its device, the others are not kept waiting', async () => {
  writeFileSync(file, JSON.stringify({ version: 1, devices: wanted }));
  const restore = start(`restore ${file} wait 60`, env);
  await restore.told('Waiting');
  assert.equal(restore.stdout(), '+ foo1 mgmtdev vdpasim_net\n');
  // The machine has its card now; rebooting it deletes the devices, which are restored again.
  await boot('pci/0000:03:00.2');
  const { status, stdout, stderr } = await restore.ended;
  assert.equal(status, 0);
  assert.equal(stderr, `Waiting for up to 60 s: ${absent}`);
  assert.match(stdout, /\+ card0 mgmtdev pci\/0000:03:00\.2 mac 02:00:00:00:00:07\n(.*\n)*\d changes made\.\n$/);
});

const interrupted = 'Interrupted by SIGTERM: a change in progress was completed, no other was started.';

test('restore wait: a signal ends the wait, and what was done is reported', async () => {
  writeFileSync(file, JSON.stringify({ version: 1, devices: wanted }));
  const restore = start(`-j restore ${file} wait 600`, env);
  await restore.told('Waiting');
  restore.kill('SIGTERM');
  const { status, stdout, stderr } = await restore.ended;
  assert.deepEqual([status, stderr], [143, `Waiting for up to 600 s: ${absent}${absent}${interrupted}\n`]);
  checkOutput('restore', stdout);
  assert.deepEqual(JSON.parse(stdout), {
    changed: true,
    dry_run: false,
    changes: [{ action: 'add', name: 'foo1', outcome: 'done' }],
    refused: [absent.trimEnd()],
    error: interrupted,
  });
});

test('restore: a signal ends the wait for another process, and that nothing was done is reported', async () => {
  writeFileSync(file, JSON.stringify({ version: 1, devices: wanted }));
  const unlock = await lockState(`${env.VDPA_SIM_STATE}.apply`);
  try {
    const restore = start(`-j restore ${file}`, env);
    await restore.told('waiting for it to finish.');
    restore.kill('SIGTERM');
    const { status, stdout } = await restore.ended;
    assert.equal(status, 143);
    checkOutput('restore', stdout);
    assert.deepEqual(JSON.parse(stdout), { changed: false, dry_run: false, changes: [], error: interrupted });
  } finally {
    unlock();
  }
});

test('restore wait: an error after changes does not hide them', async () => {
  writeFileSync(file, JSON.stringify({ version: 1, devices: wanted }));
  const faults = 'mgmtdev show skip 1 errno EIO';
  const { status, stdout, stderr } = await sim(`-j restore ${file} wait 600`, faults);
  assert.deepEqual([status, stderr.endsWith('kernel answers: Input/output error\n')], [1, true], stderr);
  checkOutput('restore', stdout);
  assert.deepEqual(JSON.parse(stdout), {
    changed: true,
    dry_run: false,
    changes: [{ action: 'add', name: 'foo1', outcome: 'done' }],
    refused: [absent.trimEnd()],
    error: 'kernel answers: Input/output error',
  });
  assert.deepEqual(await sim(`-j restore ${file}`, 'mgmtdev show errno EIO'), {
    status: 1,
    stdout: '{}\n',
    stderr: 'kernel answers: Input/output error\n',
  });
});

test('restore wait: after the time the rest is reported', async () => {
  writeFileSync(file, JSON.stringify({ version: 1, devices: wanted }));
  const { status, stdout, stderr } = await sim(`restore ${file} wait 1`);
  assert.deepEqual([status, stderr], [1, `Waiting for up to 1 s: ${absent}${absent}`]);
  assert.match(stdout, /not restored: card0\.\n$/);
  assert.equal((await sim(`restore ${file} wait`)).status, 1);
  assert.match((await sim(`restore ${file} wait soon`)).stderr, /^Invalid wait "soon"/);
});
