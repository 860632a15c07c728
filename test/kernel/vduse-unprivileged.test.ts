/** A server of a user other than root, to whom udev grants access to the nodes. This program plays udev. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { nothingLeft } from '../support/kernel/lab/leftovers.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { asNobody } from '../support/kernel/lab/unprivileged.js';
import { attach, bash, detach, diskOf, until } from '../support/kernel/servers/vduse.js';

const { after, afterEach, before, test } = testsWith(VDUSE);

const NOBODY = 65534;
const FOLDER = '/tmp/unprivileged';
const FILE = `${FOLDER}/disk.img`;
const CONTROL = '/dev/vduse/control';
const NODE = '/dev/vduse/disk0';

/** CAP_DAC_READ_SEARCH, to read the program. */
const READ_ANY_FILE = '0000000000000004';

before(async () => {
  mkdirSync(FOLDER);
  await bash(`truncate -s 16M ${FILE}; chown -R ${NOBODY}:${NOBODY} ${FOLDER}`);
  grant(CONTROL);
});

after(() => {
  chownSync(CONTROL, 0, 0);
  chmodSync(CONTROL, 0o600);
  rmSync(FOLDER, { recursive: true });
});

afterEach(nothingLeft);

/** As a rule of udev does. */
function grant(node: string): void {
  chownSync(node, 0, NOBODY);
  chmodSync(node, 0o660);
}

function serve() {
  const [command, ...options] = asNobody;
  const line = ['env', `XDG_RUNTIME_DIR=${FOLDER}`, '/run/bin/vdpa', 'vduse', 'serve', 'name', 'disk0', 'path', FILE];
  const server = spawn(command, [...options, ...line], { stdio: ['ignore', 'inherit', 'pipe'] });
  let stderr = '';
  server.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return { server, stderr: () => stderr };
}

test('with access to the nodes, and to a new one a little later: serves a disk, without a capability', async () => {
  const { server, stderr } = serve();
  await until('its node exists', () => existsSync(NODE));
  await sleep(200);
  grant(NODE);
  await until('it is ready', () => existsSync(`${FOLDER}/vdpa/vduse/disk0/socket`));
  const status = readFileSync(`/proc/${server.pid ?? 0}/status`, 'latin1');
  assert.match(status, new RegExp(`^Uid:\\s+${NOBODY}\\s+${NOBODY}\\s`, 'm'));
  assert.match(status, new RegExp(`^CapEff:\\s+${READ_ANY_FILE}$`, 'm'));
  await attach('disk0');
  const disk = await diskOf('disk0');
  await bash(`dd if=/dev/urandom of=${disk} bs=1M oflag=direct conv=fsync status=none count=16; cmp ${disk} ${FILE}`);
  await detach('disk0');
  server.kill('SIGTERM');
  const [code] = (await once(server, 'close')) as [number | null];
  assert.deepEqual([code, stderr()], [0, '']);
});

test('without: says what to do, and leaves no instance', async () => {
  const { server, stderr } = serve();
  const [code] = (await once(server, 'close')) as [number | null];
  assert.equal(code, 1);
  const reason = 'open /dev/vduse/disk0: Permission denied (EACCES)';
  assert.equal(stderr(), `vdpa: ${reason}. Run as root, or let a rule of udev grant access to the node\n`);
  assert.deepEqual(readdirSync('/dev/vduse'), ['control']);
});
