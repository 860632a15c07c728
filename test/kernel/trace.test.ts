import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { vdpa } from '../support/command-line.js';
import { SIMULATORS, testsWith } from '../support/kernel/lab/needs.js';

const { test } = testsWith(...SIMULATORS);

test('every message of a command is printed on stderr, and nothing else changes', async () => {
  const { status, stdout, stderr } = await vdpa('--trace dev del nothing');
  assert.equal(status, 1);
  assert.equal(stdout, '');
  const lines = stderr.split('\n').filter((line) => !/^ +[0-9a-f]{4} {2}/.test(line));
  assert.match(lines[0] ?? '', /^-> nlctrl GETFAMILY version 1 seq 1 port \d+ flags REQUEST\|ACK length 32$/);
  assert.ok(lines.includes('     DEV_NAME "nothing"'));
  assert.ok(lines.some((line) => line.startsWith('<- ERROR -19 ENODEV ')));
  assert.deepEqual(lines.slice(-4), [
    '     MSG "vdpa: device not found"',
    'Error: vdpa: device not found.',
    'kernel answers: No such device',
    '',
  ]);
  const refused = await vdpa('--trace dev add mgmtdev vdpasim_net name foo0 mtu 10');
  assert.match(refused.stderr, /^ {5}OFFS \d+ DEV_NET_CFG_MTU\n {5}POLICY u16 min 68 max 65535$/m);
  const plain = await vdpa('mgmtdev show');
  const traced = await vdpa('mgmtdev show', { env: { VDPA_TRACE: '1' } });
  assert.equal(traced.stdout, plain.stdout);
  assert.match(traced.stderr, /^<- vdpa MGMTDEV_NEW version 1 .*\n {5}MGMTDEV_DEV_NAME "vdpasim_net"$/m);
  assert.equal(plain.stderr, '');
});
