import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { needsReference, same, startBoth, startFrom } from '../support/kernel/lab/compare.js';

const MODES = ['', '-j ', '-p ', '-jp '];
const ADD = 'dev add mgmtdev vdpasim_net name foo0';

describe("dev add, show and del are iproute2's", needsReference, () => {
  test('adding a device', async () => {
    assert.deepEqual(await same(ADD), {
      status: 0,
      stdout: '',
      stderr: '',
      devices: (await same('-jp dev show', [ADD])).stdout,
    });
  });

  for (const mode of MODES) {
    test(`${mode}dev show without a device`, async () => {
      assert.equal((await same(`${mode}dev show`)).status, 0);
    });
    test(`${mode}dev show of one device`, async () => {
      const { status, stdout } = await same(`${mode}dev show foo0`, [ADD]);
      assert.equal(status, 0);
      assert.match(stdout, /foo0/);
    });
    test(`${mode}dev show of several devices`, async () => {
      const { stdout } = await same(`${mode}dev show`, [ADD, 'dev add mgmtdev vdpasim_blk name bar', `${ADD}1`]);
      assert.match(stdout, /foo0[^]*bar[^]*foo01/);
    });
    test(`${mode}dev show of a device that does not exist`, async () => {
      const { status, stderr } = await same(`${mode}dev show nosuch`, [ADD]);
      assert.equal(status, 1);
      assert.equal(stderr, 'Error: vdpa: device not found.\nkernel answers: No such device\n');
    });
  }

  test('options after the command', async () => {
    const { stdout } = await same('dev show foo0 -jp', [ADD]);
    assert.equal(Object.keys((JSON.parse(stdout) as { dev: object }).dev).join(), 'foo0');
  });

  test('deleting a device', async () => {
    assert.equal((await same('dev del foo0', [ADD, `${ADD}1`])).status, 0);
  });

  for (const [what, line, given] of [
    ['adding a device twice', ADD, [ADD]],
    ['adding to a management device that does not exist', 'dev add mgmtdev nosuch name foo0'],
    ['adding without a name', 'dev add mgmtdev vdpasim_net'],
    ['adding without a management device', 'dev add name foo0'],
    ['adding without anything', 'dev add'],
    ['deleting a device that does not exist', 'dev del nosuch'],
    ['deleting without a name', 'dev del'],
  ] as const) {
    test(`rejected: ${what}`, async () => {
      const { status, stdout, stderr } = await same(line, given);
      assert.equal(status, 1);
      assert.equal(stdout, '');
      assert.notEqual(stderr, '');
    });
  }

  test('the executable itself', async () => {
    for (const argv of [
      ['mgmtdev', 'show', '-jp'],
      ['dev', 'show', 'foo0'],
      ['dev', 'del', 'nosuch'],
    ]) {
      await startFrom([ADD]);
      const { expected, actual } = startBoth(argv);
      assert.deepEqual(actual, expected);
    }
  });
});
