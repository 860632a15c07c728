/** Deliberate faults of devices, each of which a check of src/conformance has to find. */
import { RamBackend } from '../../../../src/vduse/block/backends/ram.js';
import {
  DISCARD,
  FLUSH,
  READ,
  WRITE,
  WRITE_ZEROES,
  type Operation,
  type OperationType,
} from '../../../../src/vduse/block/backend.js';
import { TapBackend } from '../../../../src/vduse/net/backends/tap.js';
import type { DeviceIdentity } from '../../../../src/vduse/kernel/control.js';
import { blockConfigOffset, netConfigOffset } from '../../../../src/virtio/config-space.js';
import { DescriptorChain } from '../../../../src/virtio/descriptor-chain.js';
import {
  HEADER_BUFFERS,
  HEADER_SIZE,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_TSO6,
} from '../../../../src/virtio/net.js';
import { SplitQueue } from '../../../../src/virtio/split-queue.js';

/** A fault, and the check that finds it. */
export interface Mutant {
  /** A disk, a loopback network device, or one with a tap, which is the peer. */
  readonly type: 'block' | 'net' | 'tap';
  readonly check: string;
  /** What the device says of itself. */
  readonly identity?: (identity: DeviceIdentity) => DeviceIdentity;
  /** The size that the device believes its disk to have, in bytes, instead of its real one. */
  readonly believes?: number;
  /** The address that the device receives for, instead of its own. */
  readonly receivesFor?: Uint8Array;
  /** Changes the classes of the thread that serves the device. */
  readonly patch?: () => void;
}

/** The interface of a device with a tap. */
export const TAP = 'mutant-tap';
/** The size of the disk, in bytes. */
export const DISK_BYTES = 2 ** 22;

type Method<Class, Name extends keyof Class> = Class[Name] extends (...args: infer Args) => infer Result
  ? (this: Class, ...args: Args) => Result
  : never;

/** Replaces a method. @param make gets the real one */
function replace<Class extends object, Name extends keyof Class>(
  prototype: Class,
  name: Name,
  make: (real: Method<Class, Name>) => Method<Class, Name>,
): void {
  // What is replaced is a method, of which TypeScript has no type that can be called.
  const real = prototype[name] as Method<Class, Name>;
  Object.defineProperty(prototype, name, { value: make(real) });
}

const queue = SplitQueue.prototype;

/** Completes every n-th chain in another way. */
function completing(
  every: number,
  how: (real: (head: number, written: number) => void, head: number, written: number) => void,
): () => void {
  return () => {
    let count = 0;
    replace(
      queue,
      'complete',
      (real) =>
        function (this: SplitQueue, head, written) {
          const complete = (at: number, length: number): void => {
            real.call(this, at, length);
          };
          if (++count % every === 0) how(complete, head, written);
          else complete(head, written);
        },
    );
  };
}

/** Carries out the operations of a type as others, or not at all. */
function operating(
  type: OperationType,
  change: (operation: Operation) => Partial<Operation> | 'nothing' | number,
): () => void {
  return () => {
    replace(
      RamBackend.prototype,
      'submit',
      (real) =>
        function (this: RamBackend, operation, vector) {
          const changed = operation.type === type ? change(operation) : {};
          // The backend reads what to do from the operation, and reports it to the plane when it is done.
          const before = { ...operation };
          if (typeof changed === 'object') Object.assign(operation, changed);
          else Object.assign(operation, { type: FLUSH });
          real.call(this, operation, vector);
          Object.assign(operation, before, { error: typeof changed === 'number' ? changed : operation.error });
        },
    );
  };
}

/** Changes bytes of the configuration. */
function config(offset: number, ...bytes: readonly number[]): (identity: DeviceIdentity) => DeviceIdentity {
  return (identity) => {
    const changed = identity.config.slice();
    changed.set(bytes, offset);
    return { ...identity, config: changed };
  };
}

const addFeature =
  (bit: number) =>
  (identity: DeviceIdentity): DeviceIdentity => ({ ...identity, features: identity.features | (1n << BigInt(bit)) });

const IO_ERROR = 5;

/** Devices without a fault, as a comparison. */
export const faultless: Readonly<Record<string, Pick<Mutant, 'type'>>> = {
  block: { type: 'block' },
  net: { type: 'net' },
  tap: { type: 'tap' },
};

export const mutants: Readonly<Record<string, Mutant>> = {
  'a used length that is one too long': {
    type: 'block',
    check: 'split-requests',
    patch: completing(1, (real, head, written) => {
      real(head, written + 1);
    }),
  },
  'a used length of a packet that was sent': {
    type: 'net',
    check: 'split-requests',
    patch: completing(1, (real, head, written) => {
      real(head, written + 12);
    }),
  },
  'a wrong head': {
    type: 'block',
    check: 'split-requests',
    patch: completing(5, (real, head, written) => {
      real(head ^ 1, written);
    }),
  },
  'a chain that is completed twice': {
    type: 'block',
    check: 'split-full-queue',
    patch: completing(7, (real, head, written) => {
      real(head, written);
      real(head, written);
    }),
  },
  'a chain that is not completed': { type: 'block', check: 'split-full-queue', patch: completing(50, () => undefined) },
  'an interrupt that is lost': {
    type: 'block',
    check: 'split-interrupt',
    patch: () => {
      replace(queue, 'needsInterrupt', () => () => false);
    },
  },
  'interrupts that are not suppressed': {
    type: 'block',
    check: 'split-interrupt-suppressed',
    patch: () => {
      replace(queue, 'needsInterrupt', () => () => true);
    },
  },
  'an interrupt at every other completion': {
    type: 'block',
    check: 'split-interrupt',
    patch: () => {
      let count = 0;
      replace(
        queue,
        'needsInterrupt',
        (real) =>
          function (this: SplitQueue) {
            return real.call(this) && ++count % 2 === 0;
          },
      );
    },
  },
  'kicks that are never wanted again': {
    type: 'block',
    check: 'split-kick-suppression',
    patch: () => {
      replace(
        queue,
        'enableKicks',
        () =>
          function (this: SplitQueue) {
            this.disableKicks();
            return this.hasPending();
          },
      );
    },
  },
  'an event of the device that is never moved': {
    type: 'block',
    check: 'split-event-index',
    patch: () => {
      replace(
        queue,
        'enableKicks',
        () =>
          function (this: SplitQueue) {
            return this.hasPending();
          },
      );
    },
  },
  'a read of the wrong sector': {
    type: 'block',
    check: 'block-write-read',
    patch: operating(READ, ({ position }) => ({ position: position >= 512 ? position - 512 : position })),
  },
  'a write that does nothing': { type: 'block', check: 'block-write-read', patch: operating(WRITE, () => 'nothing') },
  'a write to the sector before': {
    type: 'block',
    check: 'block-write-neighbours',
    patch: operating(WRITE, ({ position, length }) => (length === 512 ? { position: position - 512 } : {})),
  },
  'a flush that fails': { type: 'block', check: 'block-flush', patch: operating(FLUSH, () => IO_ERROR) },
  'zeros that are not written': {
    type: 'block',
    check: 'block-write-zeroes',
    patch: operating(WRITE_ZEROES, () => 'nothing'),
  },
  'zeros that go too far': {
    type: 'block',
    check: 'block-write-zeroes',
    patch: operating(WRITE_ZEROES, ({ length }) => ({ length: length + 512 })),
  },
  'a discard that begins too early': {
    type: 'block',
    check: 'block-discard',
    patch: operating(DISCARD, ({ position }) => ({ position: position - 4096 })),
  },
  'a discard that fails': { type: 'block', check: 'block-discard', patch: operating(DISCARD, () => IO_ERROR) },
  'a disk that is longer than it says': { type: 'block', check: 'block-read-past-end', believes: DISK_BYTES + 8192 },
  'a disk that is shorter than it says': { type: 'block', check: 'block-read-ends', believes: DISK_BYTES - 512 },
  'a read-only disk that is written': { type: 'block', check: 'block-read-only', identity: addFeature(5) },
  'no capacity': {
    type: 'block',
    check: 'block-config',
    identity: config(blockConfigOffset.capacity, 0, 0, 0, 0, 0, 0, 0, 0),
  },
  'a block size of 100 bytes': {
    type: 'block',
    check: 'block-config',
    identity: config(blockConfigOffset.blkSize, 100, 0, 0, 0),
  },
  'no segments': { type: 'block', check: 'block-segments', identity: config(blockConfigOffset.segMax, 0, 0, 0, 0) },
  'no sectors for a discard': {
    type: 'block',
    check: 'block-config',
    identity: config(blockConfigOffset.maxDiscardSectors, 0, 0, 0, 0),
  },
  'padding that is not 0': {
    type: 'block',
    check: 'block-config-padding',
    identity: config(blockConfigOffset.writeZeroesMayUnmap + 1, 7),
  },
  'a group as its address': { type: 'net', check: 'net-config', identity: config(netConfigOffset.mac, 3) },
  'no address': { type: 'net', check: 'net-mac-address', identity: config(netConfigOffset.mac, 0, 0, 0, 0, 0, 0) },
  'an MTU of 10': {
    type: 'net',
    check: 'net-config',
    identity: (identity) => config(netConfigOffset.mtu, 10, 0)(addFeature(3)(identity)),
  },
  'offloads without checksums': { type: 'net', check: 'features-dependencies', identity: addFeature(11) },
  'packets for another address': {
    type: 'net',
    check: 'net-receive-own-address',
    receivesFor: Uint8Array.of(2, 0, 0, 0, 0, 9),
  },
  'a header without the number of buffers': {
    type: 'net',
    check: 'net-receive-num-buffers',
    patch: () => {
      replace(
        DescriptorChain.prototype,
        'writeByte',
        (real) =>
          function (this: DescriptorChain, position, byte) {
            real.call(this, position, position === HEADER_BUFFERS ? 0 : byte);
          },
      );
    },
  },
  'flags in the header': {
    type: 'net',
    check: 'net-receive-flags',
    patch: () => {
      replace(
        DescriptorChain.prototype,
        'writeByte',
        (real) =>
          function (this: DescriptorChain, position, byte) {
            real.call(this, position, position === 0 ? 1 : byte);
          },
      );
    },
  },
  'merged buffers that are offered and not used': {
    type: 'net',
    check: 'net-receive-merged',
    identity: addFeature(15),
  },
  'a checksum that is not completed': { type: 'net', check: 'net-send-checksum', identity: addFeature(0) },
  'a checksum that is missing, without its place': {
    type: 'net',
    check: 'net-receive-checksum',
    identity: (identity) => addFeature(1)(addFeature(0)(identity)),
  },
  'a packet that is cut to the MTU': {
    type: 'tap',
    check: 'net-send-segments',
    patch: () => {
      replace(
        DescriptorChain.prototype,
        'gather',
        (real) =>
          function (this: DescriptorChain, vector, writable, from, length) {
            return real.call(this, vector, writable, from, writable ? length : Math.min(length, HEADER_SIZE + 1514));
          },
      );
    },
  },
  'offloads that the driver has not accepted': {
    type: 'tap',
    check: 'net-receive-segments',
    patch: () => {
      replace(
        TapBackend.prototype,
        'start',
        (real) =>
          function (this: TapBackend, features) {
            real.call(this, features | (1n << VIRTIO_NET_F_GUEST_CSUM) | (1n << VIRTIO_NET_F_GUEST_TSO6));
          },
      );
    },
  },
  'a received packet that is one byte short': {
    type: 'net',
    check: 'net-receive-data',
    patch: completing(1, (real, head, written) => {
      real(head, written > 0 ? written - 1 : 0);
    }),
  },
};
