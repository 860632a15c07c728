import '../lab/inside.js';
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { netConfigOffset } from '../../../../src/virtio/config-space.js';
import { ETH_ALEN, HEADER_SIZE } from '../../../../src/virtio/net.js';
import { DATA, VhostDriver } from '../../../../src/vhost/driver.js';

const RECEIVE = 0;
const SEND = 1;

/** Where valid packets are sent from, and received to. */
const SENT = DATA + 0x1c0000;
const RECEIVED = DATA + 0x1d0000;
const BUFFER_BYTES = 2048;
/** As many as a driver keeps available: half of a ring. */
const BUFFERS = 32;

/** The other end of a device's network. */
export interface NetPeer {
  /** Sends a frame to the device. */
  send(frame: Uint8Array): void;
  /** The next frame from the device. */
  receive(limitMs: number): Promise<Uint8Array | undefined>;
}

/** A driver of a network device with one pair of queues through vhost-vdpa. */
export class VhostNet extends VhostDriver {
  readonly mac = this.vhost.config(netConfigOffset.mac, 6);
  readonly #peer: NetPeer | undefined;

  /** @param peer undefined for a loopback device */
  constructor(node: string, queueSize: number, peer?: NetPeer) {
    super(node, { queues: 2, queueSize });
    this.#peer = peer;
  }

  /** Sends a frame to the device from its network, which may lose it. */
  arrive(frame: Uint8Array): void {
    try {
      this.#peer?.send(frame);
    } catch {
      // The queue of the interface is full.
    }
  }

  /** Checks that the device, just started, works: it sends a packet and receives one. */
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
        assert.ok(came, 'the packet that the device sent did not arrive');
        if (isDeepStrictEqual(came, frame)) break;
      }
      this.#peer.send(frame);
    }
    for (;;) {
      const used = this.used(RECEIVE);
      assert.ok(used, 'the packet for the device did not reach the driver');
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
    assert.ok(this.used(SEND), 'the sent packet was not completed');
  }

  /** A broadcast, with an EtherType for experiments. */
  #frame(seed: number): Uint8Array {
    const frame = Uint8Array.from({ length: 200 }, (_, index) => (index * 7 + seed) & 0xff);
    frame.fill(0xff, 0, ETH_ALEN);
    frame.set(this.mac, ETH_ALEN);
    frame.set([0x88, 0xb5], 2 * ETH_ALEN);
    return frame;
  }
}
