import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { needsReference, same } from '../support/kernel/lab/compare.js';

const MODES = ['', '-j ', '-p ', '-jp '];

describe("mgmtdev show is iproute2's", needsReference, () => {
  for (const mode of MODES) {
    test(`${mode}mgmtdev show`, async () => {
      const { status, stdout } = await same(`${mode}mgmtdev show`);
      assert.equal(status, 0);
      for (const name of ['vdpasim_net', 'vdpasim_blk']) assert.match(stdout, new RegExp(name));
    });
    for (const name of ['vdpasim_net', 'vdpasim_blk']) {
      test(`${mode}mgmtdev show ${name}`, async () => {
        const { status, stdout } = await same(`${mode}mgmtdev show ${name}`);
        assert.equal(status, 0);
        assert.match(stdout, new RegExp(name));
      });
    }
    test(`${mode}mgmtdev show of one that does not exist`, async () => {
      const { status, stderr } = await same(`${mode}mgmtdev show nosuch`);
      assert.equal(status, 1);
      assert.equal(stderr, 'Error: vdpa: Fail to find the specified mgmt device.\nkernel answers: No such device\n');
    });
    test(`${mode}mgmtdev show of one on a bus that does not exist`, async () => {
      assert.equal((await same(`${mode}mgmtdev show pci/0000:00:00.0`)).status, 1);
    });
  }
});
