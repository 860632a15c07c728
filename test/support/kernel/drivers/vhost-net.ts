import '../lab/inside.js';
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { netConfigOffset } from '../../../../src/virtio/config-space.js';
import { ETH_ALEN, HEADER_SIZE } from '../../../../src/virtio/net.js';
import { DATA, VhostDriver } from './vhost-driver.js';

const RECEIVE = 0;
const SEND = 1;

/** Where packets in good order are sent from, and come to. */
const SENT = DATA + 0x1c0000;
const RECEIVED = DATA + 0x1d0000;
const BUFFER_BYTES = 2048;
/** As many as a driver keeps ready: half of a ring. */
const BUFFERS = 32;

/** The other end of a device's network. */
export interface NetPeer {
  /** Sends a frame to the device. */
  send(frame: Uint8Array): void;
  /** The next frame that came from the device. */
  receive(limitMs: number): Promise<Uint8Array | undefined>;
}

/** A driver of a network device of one pair of queues by vhost-vdpa. */
export class VhostNet extends VhostDriver {
  readonly mac = this.vhost.config(netConfigOffset.mac, 6);
  readonly #peer: NetPeer | undefined;

  /** @param peer undefined for a device whose packets come back to it */
  constructor(node: string, queueSize: number, peer?: NetPeer) {
    super(node, { queues: 2, queueSize });
    this.#peer = peer;
  }

  /** Lets a frame come to the device from its network, which may lose it. */
  arrive(frame: Uint8Array): void {
    try {
      this.#peer?.send(frame);
    } catch {
      // The interface has its queue full.
    }
  }

  /** Sees that the device, just started, does what it is there for: sends a packet, and gives one that has come. */
  async checkService(seed: number): Promise<void> {
    const places = new Map<number, number>();
    const giveBuffer = (iova: number): void => {
      const head = this.ring(RECEIVE).chain([{ iova, length: BUFFER_BYTES, writable: true }]);
      places.set(head, iova);
      this.ring(RECEIVE).offer(head);
    };
    for (let index = 0; index < BUFFERS; index++) giveBuffer(RECEIVED + index * BUFFER_BYTES);
    this.kick(RECEIVE);
    const frame = this.#frame(seed);
    this.#send(frame);
    if (this.#peer) {
      for (;;) {
        const came = await this.#peer.receive(20_000);
        assert.ok(came, 'what the device has sent did not come');
        if (isDeepStrictEqual(came, frame)) break;
      }
      this.#peer.send(frame);
    }
    for (;;) {
      const used = this.used(RECEIVE);
      assert.ok(used, 'what has come for the device was not given to the driver');
      const iova = places.get(used.head);
      assert.ok(iova !== undefined, `descriptor ${used.head} holds no buffer`);
      const at = this.at(iova) + HEADER_SIZE;
      if (isDeepStrictEqual(this.memory.u8.slice(at, at + used.written - HEADER_SIZE), frame)) return;
      giveBuffer(iova);
      this.kick(RECEIVE);
    }
  }

  #send(frame: Uint8Array): void {
    const at = this.at(SENT);
    this.memory.u8.fill(0, at, at + HEADER_SIZE);
    this.memory.u8.set(frame, at + HEADER_SIZE);
    this.offer(this.ring(SEND).chain([{ iova: SENT, length: HEADER_SIZE + frame.length }]), SEND);
    assert.ok(this.used(SEND), 'the packet to send did not come back');
  }

  /** To all, of a type for experiments. */
  #frame(seed: number): Uint8Array {
    const frame = Uint8Array.from({ length: 200 }, (_, index) => (index * 7 + seed) & 0xff);
    frame.fill(0xff, 0, ETH_ALEN);
    frame.set(this.mac, ETH_ALEN);
    frame.set([0x88, 0xb5], 2 * ETH_ALEN);
    return frame;
  }
}
