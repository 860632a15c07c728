import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StateFileError, readDesiredState } from '../../../src/host/state/desired.js';

test('the server of a VDUSE device: errors are reported by line and path', () => {
  const wrong = (entry: object): string => {
    try {
      readDesiredState(JSON.stringify({ version: 1, devices: [{ name: 'vd', mgmtdev: 'vduse', ...entry }] }), 'f');
    } catch (error) {
      assert.ok(error instanceof StateFileError);
      return error.message.replace(/^f: line 1 /, '');
    }
    return 'no error';
  };
  assert.match(
    wrong({ mgmtdev: 'vdpasim_blk', server: {} }),
    /^\(\/devices\/0\/server\) is only supported with mgmtdev vduse/,
  );
  assert.match(wrong({ server: { path: 'disk.img' } }), /^\(\/devices\/0\/server\/path\) must match pattern "\^\//);
  assert.match(wrong({ server: { path: '/a\0b' } }), /server\/path\) must match/);
  assert.match(wrong({ server: { ifname: 'a/b' } }), /server\/ifname\) must match/);
  assert.match(wrong({ server: { pth: '/a' } }), /server\/pth\) is an unknown key/);
  assert.match(wrong({ server: { size: '64X' } }), /server\) Invalid size "64X"/);
  assert.match(wrong({ server: { size: 1000 } }), /not a multiple of the block size/);
  assert.match(wrong({ server: { backend: 'file' } }), /Backend file requires "path"/);
  assert.match(wrong({ server: { ifname: 'tap0' } }), /"ifname" is only supported by net devices/);
  assert.match(wrong({ type: 'net', server: { path: '/a' } }), /"path" is only supported by block devices/);
  assert.match(wrong({ server: { restart: true } }), /is a disk in memory, which is lost with its server/);
  assert.match(wrong({ server: { queue_size: 100 } }), /power of two/);
  assert.match(wrong({ type: 'net', mac: '1:0:0:0:0:0', server: {} }), /Invalid MAC address/);
  for (const name of ['..', 'control', 'a\nb', 'x'.repeat(256)]) {
    assert.match(wrong({ name, server: {} }), /^\(\/devices\/0\/server\) /, name);
  }
});
