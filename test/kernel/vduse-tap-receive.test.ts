import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { HEADER_BUFFERS, HEADER_SIZE, VIRTIO_NET_F_MRG_RXBUF } from '../../src/virtio/net.js';
import { PacketSocket } from '../support/kernel/drivers/packet-socket.js';
import { DATA, VhostDriver } from '../../src/vhost/driver.js';
import { DriverMemory } from '../../src/vhost/memory.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { ServerProcess } from '../support/kernel/servers/server-process.js';
import { attach, bash, detach, giveToVhost, until } from '../support/kernel/servers/vduse.js';
import { Random } from '../support/random.js';

const { after, afterEach, before, describe, test } = testsWith(VDUSE, '/dev/net/tun');

const RECEIVE = 0;
const QUEUE_SIZE = 64;
const BUFFER_BYTES = 600;
/** Distance of the buffers. */
const STEP = 1024;
const LONGEST = 4000;
/** How many frames a test sends. */
const FRAMES = 3000;
/** How long one may take to arrive. */
const LIMIT_MS = 20_000;
/** Destination, source and the EtherType of the frames; then a number of 32 bits. */
const ADDRESSES = Uint8Array.of(...new Array<number>(6).fill(0xff), 2, 0, 0, 0, 0, 9, 0x88, 0xb5);
const NUMBER = ADDRESSES.length;
const MERGEABLE = 1n << VIRTIO_NET_F_MRG_RXBUF;
const EVENT_IDX = 1n << 29n;
/** The IOVA of memory that is truncated. */
const ELSEWHERE = 0x7000_0000;
const PAGE = 4096;

const random = new Random(1);
let server: ServerProcess;
let driver: VhostDriver;
let network: PacketSocket;
/** Number of frames sent. */
let sent = 0;
/** Undoes the setup, in reverse order. */
const undo: (() => unknown)[] = [];

before(async () => {
  server = await ServerProcess.start({ name: 'tapped', backend: { type: 'tap', ifname: 'tapped0' } });
  undo.unshift(() => server.stop());
  await attach('tapped');
  undo.unshift(() => detach('tapped'));
  driver = new VhostDriver(await giveToVhost('tapped'), { queues: 2, queueSize: QUEUE_SIZE });
  undo.unshift(() => {
    driver.close();
  });
  await bash('sysctl -qw net.ipv6.conf.tapped0.disable_ipv6=1; ip link set tapped0 up mtu 9000');
  network = new PacketSocket('tapped0');
  undo.unshift(() => {
    network.close();
  });
});

afterEach(() => {
  assert.equal(server.ended, undefined);
});

after(async () => {
  for (const step of undo.splice(0)) await step();
});

const numberOf = (bytes: Uint8Array): number => new DataView(bytes.buffer).getUint32(NUMBER);

/** Sends a frame from the network to the driver. */
function send(length: number): void {
  network.send(frame(sent++, length));
}

function frame(number: number, length: number): Uint8Array {
  const bytes = Uint8Array.from({ length }, (_, index) => (number + index) & 0xff);
  bytes.set(ADDRESSES);
  new DataView(bytes.buffer).setUint32(NUMBER, number);
  return bytes;
}

/** The driver's receive buffers, and the frames that have arrived in them, except those sent before. */
class Receiver {
  readonly #first = sent;
  readonly #places = new Map<number, number>();
  #free = Array.from({ length: QUEUE_SIZE }, (_, index) => DATA + index * STEP);
  #partial: { readonly left: number; readonly bytes: Uint8Array[] } | undefined;

  get free(): number {
    return this.#free.length;
  }

  offer(count: number): void {
    const ring = driver.ring(RECEIVE);
    for (const iova of this.#free.splice(0, count)) {
      const head = ring.chain([{ iova, length: BUFFER_BYTES, writable: true }]);
      this.#places.set(head, iova);
      ring.offer(head);
    }
    driver.kick(RECEIVE);
  }

  /** The frames that have arrived. @param limitMs to wait for the first buffer */
  frames(limitMs: number): Uint8Array[] {
    const frames: Uint8Array[] = [];
    const first = driver.used(RECEIVE, limitMs);
    assert.ok(first ?? limitMs < LIMIT_MS, 'nothing arrives');
    for (let used = first; used; used = driver.used(RECEIVE, 0)) {
      const iova = this.#places.get(used.head);
      assert.ok(iova !== undefined, `descriptor ${used.head} holds no buffer`);
      const at = driver.at(iova);
      const bytes = driver.memory.u8.slice(at, at + used.written);
      this.#free.push(iova);
      const { left, bytes: before } = this.#partial ?? {
        left: new DataView(bytes.buffer).getUint16(HEADER_BUFFERS, true),
        bytes: [],
      };
      const pieces = [...before, bytes];
      this.#partial = left > 1 ? { left: left - 1, bytes: pieces } : undefined;
      const whole = Buffer.concat(pieces).subarray(HEADER_SIZE);
      // The kernel may send frames of its own.
      if (left > 1 || whole.readUInt16BE(12) !== 0x88b5) continue;
      const bytesOfFrame = new Uint8Array(whole);
      if (numberOf(bytesOfFrame) >= this.#first) frames.push(bytesOfFrame);
    }
    return frames;
  }
}

/** Sends frames until one arrives. */
function arrival(receiver: Receiver): Promise<unknown> {
  return until('a packet arrives', () => {
    receiver.offer(receiver.free);
    send(60);
    return receiver.frames(100).length > 0;
  });
}

const errors = async (): Promise<number> => (await server.device('tapped')).queues[RECEIVE]?.errors ?? -1;

describe('packets of a tap in bursts', () => {
  for (const [what, features, longest] of [
    ['with mergeable buffers, of any length', MERGEABLE, LONGEST],
    ['without', 0n, BUFFER_BYTES - HEADER_SIZE],
  ] as const) {
    test(`${what}: all arrive, in order`, async () => {
      driver.start({
        queueSize: QUEUE_SIZE,
        features: (offered) => (offered & ~(EVENT_IDX | MERGEABLE)) | features,
      });
      const receiver = new Receiver();
      const errorsBefore = await errors();
      const lengths: number[] = [];
      const first = sent;
      let arrived = 0;
      while (arrived < FRAMES) {
        const burst = random.below(Math.min(120, 250 - (lengths.length - arrived)));
        for (const end = Math.min(lengths.length + burst, FRAMES); lengths.length < end;) {
          const length = random.chance(80) ? 60 + random.below(300) : 60 + random.below(longest - 60);
          send(length);
          lengths.push(length);
        }
        receiver.offer(random.chance(30) ? receiver.free : random.below(receiver.free + 1));
        // The device may wait until half of the buffers are there.
        const mayWait = lengths.length > arrived && receiver.free < QUEUE_SIZE / 2;
        const frames = receiver.frames(mayWait ? LIMIT_MS : 0);
        for (const each of frames) {
          assert.deepEqual(each, frame(first + arrived, lengths[arrived] ?? 0), `frame ${arrived}`);
          arrived++;
        }
      }
      assert.equal(await errors(), errorsBefore);
    });
  }

  test('whatever moment the driver resets the device at: the next packets arrive, in order', async () => {
    for (let life = 0; life < 30; life++) {
      driver.start();
      const receiver = new Receiver();
      receiver.offer(life % 2 === 0 ? QUEUE_SIZE : 20);
      for (let count = 0; count < 40; count++) send(random.chance(50) ? 60 : 60 + random.below(LONGEST - 60));
      for (let step = random.below(4); step > 0; step--) receiver.frames(random.below(3));
    }
    driver.start();
    const receiver = new Receiver();
    // Those before may have filled the queue of the tap, which drops more then.
    await arrival(receiver);
    const first = sent;
    for (let arrived = 0; arrived < 100;) {
      receiver.offer(receiver.free);
      if (sent < first + 100) send(100);
      for (const each of receiver.frames(sent < first + 100 ? 0 : LIMIT_MS)) {
        if (numberOf(each) >= first) assert.deepEqual(each, frame(first + arrived++, 100));
      }
    }
  });

  test('for buffers whose memory was truncated: harms only the driver, and its ring is broken', async () => {
    const memory = new DriverMemory(PAGE * QUEUE_SIZE);
    try {
      driver.start();
      driver.vhost.map(ELSEWHERE, PAGE * QUEUE_SIZE, memory.address);
      const ring = driver.ring(RECEIVE);
      const offer = (index: number): void => {
        const iova = index % 4 === 1 ? ELSEWHERE + (index + 1) * PAGE : DATA + index * STEP;
        ring.offer(ring.chain([{ iova, length: BUFFER_BYTES, writable: true }]));
      };
      // The memory is mapped before it is truncated.
      for (let index = 0; index < 3; index++) offer(index);
      driver.kick(RECEIVE);
      for (let index = 3; index < QUEUE_SIZE; index++) offer(index);
      driver.kick(RECEIVE);
      for (let count = 0; count < 3; count++) send(60);
      assert.ok(driver.used(RECEIVE));
      memory.truncate(PAGE);
      const before = await errors();
      server.broken.length = 0;
      await until('packets are lost, and the ring is broken', async () => {
        for (let count = 0; count < 20; count++) send(60);
        return server.broken.length > 0 && (await errors()) > before;
      });
      assert.match(server.broken[0] ?? '', /^tapped 0: memory .* was truncated/);
    } finally {
      driver.start();
      driver.vhost.unmap(ELSEWHERE, PAGE * QUEUE_SIZE);
      memory.free();
    }
    driver.start();
    await arrival(new Receiver());
  });
});
