import { Errno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';
import { ioctlNumber } from '../../sys/ioctl.js';
import { lastErrno } from '../../sys/libc.js';
import type { NativeBuffer } from '../../sys/memory.js';
import type { GuestMemory } from '../../virtio/guest-memory.js';
import { SplitQueue, type QueueLayout } from '../../virtio/split-queue.js';
import { INTERRUPTS, type QueueCounters } from './counters.js';
import { MORE, type ServeResult } from './serve-result.js';
import { VDUSE_VQ_INJECT_IRQ } from '../kernel/uapi.js';

/** Guest memory was taken away while the thread was at work: what it did since may have gone nowhere. */
export class MemoryRevokedError extends Error {
  override readonly name = 'MemoryRevokedError';
}

/** A queue that the driver has set up. */
export interface QueueSetup {
  readonly index: number;
  readonly layout: QueueLayout;
  /** The available index to begin with; undefined to go on where the used ring ends. */
  readonly availableIndex: number | undefined;
}

/** A queue of a device while a driver uses it: its ring, its counters, and the way to interrupt the driver. */
export class DeviceQueue {
  readonly index: number;
  /** The driver has broken the ring: the queue rests until the device is reset. */
  broken = false;
  /** What serving it came to the last time. */
  served: ServeResult = MORE;
  /** An interrupt is to be injected before the thread sleeps: it could not be yet, or the last one may be lost. */
  interruptPending: boolean;

  readonly #memory: GuestMemory;
  readonly #layout: QueueLayout;
  readonly #counters: QueueCounters;
  readonly #deviceFd: number;
  readonly #argument: NativeBuffer;
  readonly #isRevoked: () => boolean;
  /** Whether the main thread waits for this one, so that serving should come to its end soon. */
  readonly hasPendingCommand: () => boolean;
  #begin: number | undefined;
  #ring: SplitQueue | undefined;

  constructor(
    setup: QueueSetup,
    memory: GuestMemory,
    counters: QueueCounters,
    deviceFd: number,
    /** Native memory for the argument of the interrupt's ioctl. */
    argument: NativeBuffer,
    isRevoked: () => boolean,
    hasPendingCommand: () => boolean,
  ) {
    this.index = setup.index;
    this.#layout = setup.layout;
    this.#begin = setup.availableIndex;
    this.#memory = memory;
    this.#counters = counters;
    this.#deviceFd = deviceFd;
    this.#argument = argument;
    this.#isRevoked = isRevoked;
    this.hasPendingCommand = hasPendingCommand;
    this.interruptPending = setup.availableIndex === undefined;
    counters.usedIndex = setup.availableIndex;
    counters.state = 'running';
  }

  /** The ring, for a data plane that serves the queue: it is mapped then. */
  get ring(): SplitQueue {
    if (this.#ring === undefined) throw new Error(`queue ${this.index} is not mapped`);
    return this.#ring;
  }

  /** Whether it can be served now. */
  get usable(): boolean {
    return !this.broken && this.#ring !== undefined;
  }

  /** Maps the ring where it is not. @returns false while its memory is not there */
  map(): boolean {
    if (this.#ring !== undefined) return true;
    this.#ring = SplitQueue.map(this.#memory, this.#layout, this.#begin);
    this.#counters.state = this.#ring ? 'running' : 'unmapped';
    if (this.#ring === undefined) return false;
    this.#begin = undefined;
    this.#counters.usedIndex = this.#ring.nextUsed;
    return true;
  }

  /** Forgets where the ring is mapped. When it is mapped again, the used index in it says where to go on. */
  unmap(): void {
    this.#ring = undefined;
    this.interruptPending = true;
  }

  /** Adds to one of the queue's counters. */
  count(counter: number, count: number): void {
    this.#counters.add(counter, count);
  }

  /**
   * To be called between reading requests and acting on them: once guest memory is taken away it reads as zeros, and a
   * request may have been read half before and half after.
   * @throws MemoryRevokedError
   */
  checkMemory(): void {
    if (this.#isRevoked()) throw new MemoryRevokedError();
  }

  /**
   * Lets the driver see what was completed, and interrupts it where it wants that.
   * @throws MemoryRevokedError
   */
  flush(): void {
    const ring = this.ring;
    // A status byte may be lost where the used ring is not: a driver that polls must not see the entry without it.
    this.checkMemory();
    ring.publish();
    // The index itself may be lost: then the driver has seen nothing, and the requests are served again.
    this.checkMemory();
    this.#counters.usedIndex = ring.nextUsed;
    if (ring.needsInterrupt()) this.interrupt();
  }

  /** Interrupts the driver. */
  interrupt(): void {
    this.#argument.u32[0] = this.index;
    if (ioctlNumber(this.#deviceFd, VDUSE_VQ_INJECT_IRQ, this.#argument.address) === 0) {
      this.interruptPending = false;
      this.count(INTERRUPTS, 1);
      return;
    }
    const errno = lastErrno();
    // Between the driver's DRIVER_OK and the moment when the kernel has noted it there is no way to interrupt.
    this.interruptPending = errno === Errno.EINVAL || errno === Errno.EINTR;
    // EPERM: the device is broken, and will not be used again. The main thread learns it by itself.
    if (!this.interruptPending && errno !== Errno.EPERM) {
      throw new SystemError({ operation: `interrupt for queue ${this.index}`, errno });
    }
  }

  /** The queue is not served any more. @param state what is said of it from now on */
  stop(state: 'stopped' | 'broken'): void {
    this.#ring = undefined;
    this.#counters.state = state;
  }
}
