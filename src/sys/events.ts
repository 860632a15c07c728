/** eventfd(2) and epoll(7); constants from linux/eventfd.h and linux/eventpoll.h. */
import { Errno } from './errno.js';
import { SystemError } from './error.js';
import { checked, close, lastErrno, libc } from './libc.js';
import { NativeBuffer } from './memory.js';

const NONBLOCK = 0o4000;
const CLOEXEC = 0o2000000;

export const EPOLLIN = 0x001;
export const EPOLLOUT = 0x004;
export const EPOLLERR = 0x008;
/** Report each new event once, whether or not the last one was read. */
export const EPOLLET = 0x8000_0000;

const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;

/** struct epoll_event is packed on x86-64 and nowhere else. */
const EVENT_WORDS = process.arch === 'x64' ? 3 : 4;
const DATA_WORD = EVENT_WORDS - 2;
const MAX_EVENTS = 64;

const eventfdCall: (value: number, flags: number) => number = libc.func('int eventfd(unsigned int value, int flags)');
const eventfdWrite: (fd: number, value: number) => number = libc.func('int eventfd_write(int fd, uint64_t value)');
const eventfdRead: (fd: number, value: BigUint64Array) => number = libc.func('int eventfd_read(int fd, void *value)');
const epollCreate: (flags: number) => number = libc.func('int epoll_create1(int flags)');
const epollCtl: (epoll: number, operation: number, fd: number, event: number) => number = libc.func(
  'int epoll_ctl(int epoll, int operation, int fd, uintptr_t event)',
);
const epollWait: ((epoll: number, events: number, count: number, timeout: number) => number) & {
  readonly async: (
    epoll: number,
    events: number,
    count: number,
    timeout: number,
    done: (error: Error | null, result: number) => void,
  ) => void;
} = libc.func('int epoll_wait(int epoll, uintptr_t events, int count, int timeout)');

/** A non-blocking eventfd. @throws SystemError */
export function openEventfd(): number {
  return checked('create an eventfd', eventfdCall(0, NONBLOCK | CLOEXEC));
}

/** Wakes the threads that wait for an eventfd. @throws SystemError */
export function signalEventfd(fd: number): void {
  checked('signal an eventfd', eventfdWrite(fd, 1));
}

/** Takes the signals of an eventfd: it is not readable until the next one. */
export function clearEventfd(fd: number): void {
  eventfdRead(fd, new BigUint64Array(1));
}

/**
 * A set of descriptors to wait for. Each has a tag, a small number chosen by the caller, which identifies its events.
 */
export class EventPoll {
  /** Readable when an event has occurred. */
  readonly fd: number;
  readonly #event = new NativeBuffer(16);
  readonly #events = new NativeBuffer(MAX_EVENTS * 16);
  /** The number of events of the last wait. */
  count = 0;

  /** @throws SystemError */
  constructor() {
    this.fd = checked('create an epoll instance', epollCreate(CLOEXEC));
  }

  /** @param events EPOLLIN and so on. @throws SystemError */
  add(fd: number, events: number, tag: number): void {
    this.#control(EPOLL_CTL_ADD, fd, events, tag);
  }

  /** Waits for other events of a descriptor. What has occurred already is reported again. @throws SystemError */
  change(fd: number, events: number, tag: number): void {
    this.#control(EPOLL_CTL_MOD, fd, events, tag);
  }

  #control(operation: number, fd: number, events: number, tag: number): void {
    this.#event.u32[0] = events;
    this.#event.u32[DATA_WORD] = tag;
    this.#event.u32[DATA_WORD + 1] = 0;
    checked('watch a descriptor', epollCtl(this.fd, operation, fd, this.#event.address));
  }

  /** @throws SystemError */
  remove(fd: number): void {
    checked('stop watching a descriptor', epollCtl(this.fd, EPOLL_CTL_DEL, fd, this.#event.address));
  }

  /**
   * Blocks the thread until an event, a signal or a timeout; see {@link count}.
   * @param timeoutMs -1 for no limit
   * @throws SystemError
   */
  wait(timeoutMs: number): void {
    const result = epollWait(this.fd, this.#events.address, MAX_EVENTS, timeoutMs);
    this.count = Math.max(result, 0);
    if (result !== -1) return;
    const errno = lastErrno();
    if (errno !== Errno.EINTR) throw new SystemError({ operation: 'wait for events', errno });
  }

  /** The same on a thread of the pool, without blocking this one. @throws SystemError */
  async waitAsync(timeoutMs: number): Promise<void> {
    const result = await new Promise<number>((resolve, reject) => {
      epollWait.async(this.fd, this.#events.address, MAX_EVENTS, timeoutMs, (error, value) => {
        if (error) reject(error);
        else resolve(value);
      });
    });
    this.count = Math.max(result, 0);
    // The error number remained on the pool's thread: repeat the call here, where it can be read.
    if (result === -1) this.wait(0);
  }

  /** The tag of the event `index` of the last wait. */
  tag(index: number): number {
    return this.#events.u32[index * EVENT_WORDS + DATA_WORD] ?? 0;
  }

  /** The event mask of the event `index` of the last wait: EPOLLIN and so on. */
  events(index: number): number {
    return this.#events.u32[index * EVENT_WORDS] ?? 0;
  }

  close(): void {
    close(this.fd);
    this.#event.free();
    this.#events.free();
  }
}
