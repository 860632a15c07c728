import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decodeRequest, encodeResponse } from '../../../src/vduse/kernel/messages.js';
import * as uapi from '../../../src/vduse/kernel/uapi.js';

/** A struct vduse_dev_request: a type, an ID, 16 reserved bytes, and what is specific to the type. */
function request(type: number, id: number, write: (view: DataView) => void = () => undefined): Uint8Array {
  const bytes = new Uint8Array(uapi.request.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, id, true);
  write(new DataView(bytes.buffer, 24));
  return bytes;
}

const V0 = uapi.VDUSE_API_VERSION;
const V1 = uapi.VDUSE_API_VERSION_1;

describe('requests of the kernel', () => {
  test('for the state of a queue contain its index', () => {
    const bytes = request(uapi.VDUSE_GET_VQ_STATE, 1, (view) => {
      view.setUint32(0, 0xffff_ffff, true);
    });
    assert.deepEqual(decodeRequest(bytes, V0), { type: 'get-queue-state', id: 1, queue: 0xffff_ffff });
  });

  test('with a status have one byte of it', () => {
    const bytes = request(uapi.VDUSE_SET_STATUS, 0xffff_ffff, (view) => {
      view.setUint32(0, 0x1_0f, true);
    });
    assert.deepEqual(decodeRequest(bytes, V1), { type: 'set-status', id: 0xffff_ffff, status: 0x0f });
  });

  test('about mappings have 64-bit addresses, and an address space only since version 1', () => {
    const bytes = request(uapi.VDUSE_UPDATE_IOTLB, 3, (view) => {
      view.setBigUint64(0, 0x8000_0000_0000_1000n, true);
      view.setBigUint64(8, 2n ** 64n - 1n, true);
      view.setUint32(16, 5, true);
    });
    const expected = { type: 'update-iotlb', id: 3, start: 0x8000_0000_0000_1000n, last: 2n ** 64n - 1n };
    assert.deepEqual(decodeRequest(bytes, V1), { ...expected, asid: 5 });
    assert.deepEqual(decodeRequest(bytes, V0), { ...expected, asid: 0 });
  });

  test('about groups and about queues that become ready have two numbers', () => {
    const two = (view: DataView): void => {
      view.setUint32(0, 7, true);
      view.setUint32(4, 1, true);
    };
    assert.deepEqual(decodeRequest(request(uapi.VDUSE_SET_VQ_GROUP_ASID, 4, two), V1), {
      type: 'set-group-asid',
      id: 4,
      group: 7,
      asid: 1,
    });
    const ready = { type: 'set-queue-ready', id: 5, queue: 7 };
    assert.deepEqual(decodeRequest(request(uapi.VDUSE_SET_VQ_READY, 5, two), V1), { ...ready, ready: true });
    const not = request(uapi.VDUSE_SET_VQ_READY, 5, (view) => {
      view.setUint32(0, 7, true);
    });
    assert.deepEqual(decodeRequest(not, V1), { ...ready, ready: false });
  });

  test('to suspend have no data; unknown ones keep their type number', () => {
    assert.deepEqual(decodeRequest(request(uapi.VDUSE_SUSPEND, 6), V1), { type: 'suspend', id: 6 });
    assert.deepEqual(decodeRequest(request(0xabcd, 7), V1), { type: 'unknown', id: 7, number: 0xabcd });
  });

  test('are read at an offset in a larger buffer, and not from one that is too short', () => {
    const larger = new Uint8Array(uapi.request.length + 16);
    larger.set(
      request(uapi.VDUSE_SET_STATUS, 9, (view) => {
        view.setUint8(0, 4);
      }),
      16,
    );
    assert.deepEqual(decodeRequest(larger.subarray(16), V1), { type: 'set-status', id: 9, status: 4 });
    assert.throws(() => decodeRequest(new Uint8Array(uapi.request.length - 1), V1), RangeError);
  });
});

describe('responses', () => {
  const words = (bytes: Uint8Array): number[] => [...new Uint32Array(bytes.buffer)];

  test('report only whether the request succeeded', () => {
    const ok = words(encodeResponse(0xffff_ffff, { ok: true }));
    assert.deepEqual(ok.slice(0, 2), [0xffff_ffff, uapi.VDUSE_REQ_RESULT_OK]);
    assert.ok(ok.slice(2).every((word) => word === 0));
    assert.deepEqual(words(encodeResponse(2, { ok: false })).slice(0, 2), [2, uapi.VDUSE_REQ_RESULT_FAILED]);
    assert.equal(encodeResponse(1, { ok: true }).length, uapi.response.length);
  });

  test('with the state of a queue have its number and its index', () => {
    const bytes = encodeResponse(3, { ok: true, queueState: { queue: 5, packed: false, position: 0xfffe } });
    const view = new DataView(bytes.buffer);
    assert.equal(view.getUint32(uapi.response.queueState.index, true), 5);
    assert.equal(view.getUint16(uapi.response.queueState.split.availableIndex, true), 0xfffe);
  });

  test('with the state of a packed queue have its place and its wrap counter, twice', () => {
    for (const [position, counter, index] of [
      [0x8000 | 513, 1, 513],
      [7, 0, 7],
    ] as const) {
      const bytes = encodeResponse(3, { ok: true, queueState: { queue: 1, packed: true, position } });
      const words = Array.from({ length: 4 }, (_, word) => new DataView(bytes.buffer).getUint16(28 + word * 2, true));
      assert.deepEqual(words, [counter, index, counter, index]);
    }
  });
});
