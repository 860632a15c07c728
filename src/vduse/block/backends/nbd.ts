import {
  CMD_DISC,
  CMD_FLAG_FUA,
  CMD_FLAG_NO_HOLE,
  CMD_FLUSH,
  CMD_READ,
  CMD_TRIM,
  CMD_WRITE,
  CMD_WRITE_ZEROES,
  FLAG_SEND_FLUSH,
  FLAG_SEND_FUA,
  FLAG_SEND_TRIM,
  FLAG_SEND_WRITE_ZEROES,
  type Command,
} from '../../../nbd/protocol.js';
import type { NbdExport } from '../../../nbd/handshake.js';
import { Errno } from '../../../sys/errno.js';
import { EPOLLIN, EPOLLOUT } from '../../../sys/events.js';
import type { IoVector } from '../../../sys/io-vector.js';
import { NativeBuffer } from '../../../sys/memory.js';
import { EpollWaiter } from '../../engine/waiter.js';
import {
  CANCELLED,
  DISCARD,
  FLUSH,
  READ,
  WRITE_ZEROES,
  type BackendTransfers,
  type BlockBackend,
  type Operation,
} from '../backend.js';
import { ConnectionLostError, MAX_MEMORY, RequestStream } from '../nbd/connection.js';
import type { Link } from '../nbd/link.js';
import { NbdRequest, type Task } from '../nbd/request.js';
import type { FlushFailure } from './flush-failure.js';

/** Memory for zeros that are written by hand. */
const ZEROS = 1024 * 1024;

/** The longest request: a server may take a longer one for an attack. */
const MAX_PAYLOAD = 2 ** 25;

/**
 * A disk on an NBD server. Requests are in flight together, on one connection for each data thread. When it is lost,
 * they wait for the next one, and are made again in their order, since the server may not have carried them out.
 */
export class NbdBackend implements BlockBackend {
  readonly transfers: BackendTransfers;
  readonly #link: Link;
  readonly #export: NbdExport;
  /** Each write is durable when it is done. */
  readonly #writesThrough: boolean;
  readonly #failure: FlushFailure;
  readonly #maximum: number;
  readonly #waiter: EpollWaiter;
  #stream: RequestStream | undefined;
  /** Whether there may be something to receive, or room to send. */
  #isReady = false;
  /** Whether the socket has had no room. Otherwise, each request that the server takes would wake the thread. */
  #awaitsRoom = false;
  /** By slot; those without a task are free. */
  readonly #requests: NbdRequest[] = [];
  readonly #free: NbdRequest[] = [];
  readonly #finished: Operation[] = [];
  #orders = 0;
  #answered = 0;
  #cancelling = false;
  #zeros: NativeBuffer | undefined;

  /**
   * @param link to the thread of the connections, which has offered the first one
   * @param writesThrough as `cache writethrough` asks for
   * @param failure of flushes, of all threads
   */
  constructor(link: Link, described: NbdExport, writesThrough: boolean, failure: FlushFailure) {
    this.#link = link;
    this.#export = described;
    this.#writesThrough = writesThrough && this.#has(FLAG_SEND_FUA);
    this.#failure = failure;
    const payload = Math.min(described.maximumPayload, MAX_PAYLOAD);
    this.#maximum = payload - (payload % described.minimumBlock);
    this.#waiter = new EpollWaiter(() => {
      this.#exchange();
      return this.#hasDone;
    });
    this.#waiter.watch(link.shared.dataThread, () => {
      this.#followLink();
    });
    const hasDone = (): boolean => this.#hasDone;
    this.transfers = {
      // System calls of this thread alone access the memory.
      pinned: false,
      waiter: this.#waiter,
      get hasDone() {
        return hasDone();
      },
      cancel: () => {
        this.#cancel();
      },
    };
    this.#followLink();
  }

  get #hasDone(): boolean {
    return this.#isReady || this.#finished.length > 0;
  }

  #has(flag: number): boolean {
    return (this.#export.flags & flag) !== 0;
  }

  submit(operation: Operation, vector: IoVector): void {
    this.#cancelling = false;
    const { type, position, length } = operation;
    const { minimumBlock } = this.#export;
    if (type === FLUSH) {
      if (this.#failure.hasFailed) this.#finish(operation, Errno.EIO);
      else if (this.#writesThrough || !this.#has(FLAG_SEND_FLUSH)) this.#finish(operation, 0);
      else this.#begin(operation, CMD_FLUSH, 0, 0, 0);
    } else if (length === 0) {
      this.#finish(operation, 0);
    } else if (type === DISCARD) {
      this.#discard(operation);
    } else if (position % minimumBlock !== 0 || length % minimumBlock !== 0 || position + length > this.#export.size) {
      this.#finish(operation, Errno.EIO);
    } else if (type === WRITE_ZEROES && this.#has(FLAG_SEND_WRITE_ZEROES)) {
      this.#begin(operation, CMD_WRITE_ZEROES, position, length, operation.unmap ? 0 : CMD_FLAG_NO_HOLE);
    } else {
      this.#transfer(operation, vector);
    }
  }

  /** Partial blocks are kept. A server without it does nothing: it is a hint. */
  #discard(operation: Operation): void {
    const { minimumBlock, size } = this.#export;
    const start = Math.ceil(operation.position / minimumBlock) * minimumBlock;
    const end = Math.floor(Math.min(operation.position + operation.length, size) / minimumBlock) * minimumBlock;
    if (!this.#has(FLAG_SEND_TRIM) || end <= start) this.#finish(operation, 0);
    else this.#begin(operation, CMD_TRIM, start, end - start, 0);
  }

  /** Begins an operation of one request without data. */
  #begin(operation: Operation, command: Command, position: number, length: number, flags: number): void {
    const request = this.#request({ operation, pending: 1, error: 0 }, command, position, length, flags);
    this.#push(request);
  }

  /** Begins a read or a write, in pieces that the server accepts. */
  #transfer(operation: Operation, vector: IoVector): void {
    const { type, position, length } = operation;
    const command = type === READ ? CMD_READ : CMD_WRITE;
    const task: Task = { operation, pending: 0, error: 0 };
    const made: NbdRequest[] = [];
    let entry = operation.first;
    let into = 0;
    for (let at = 0; at < length;) {
      const request = this.#request(task, command, position + at, 0, 0);
      made.push(request);
      while (at < length && request.length < this.#maximum && request.count < MAX_MEMORY) {
        // What is written by hand has no memory of the driver.
        const isZeros = type === WRITE_ZEROES;
        const bytes = isZeros ? Math.min(ZEROS, length - at) : vector.length(entry) - into;
        const part = Math.min(bytes, this.#maximum - request.length);
        request.addMemory(isZeros ? this.#zerosAddress() : vector.base(entry) + into, part);
        request.length += part;
        at += part;
        into += part;
        if (part < bytes || isZeros) continue;
        entry++;
        into = 0;
      }
    }
    if (made.some((request) => request.length % this.#export.minimumBlock !== 0)) {
      // So many pieces of memory, so small: no driver needs it.
      for (const request of made) this.#release(request);
      this.#finish(operation, Errno.EIO);
      return;
    }
    task.pending = made.length;
    for (const request of made) this.#push(request);
  }

  #zerosAddress(): number {
    return (this.#zeros ??= new NativeBuffer(ZEROS)).address;
  }

  #request(task: Task, command: Command, position: number, length: number, flags: number): NbdRequest {
    let request = this.#free.pop();
    if (request === undefined) {
      request = new NbdRequest(this.#requests.length);
      this.#requests.push(request);
    }
    const isDurable = this.#writesThrough && command !== CMD_READ && command !== CMD_FLUSH && command !== CMD_DISC;
    request.task = task;
    request.command = command;
    request.position = position;
    request.length = length;
    request.flags = flags | (isDurable ? CMD_FLAG_FUA : 0);
    request.order = this.#orders++;
    request.isAbandoned = false;
    request.count = 0;
    request.restart();
    return request;
  }

  /** Begins a request now, or with the next connection; or it fails, if none is expected. */
  #push(request: NbdRequest): void {
    if (this.#stream !== undefined) this.#stream.push(request);
    else if (this.#link.state === 'failed') this.#end(request, Errno.EIO);
  }

  reap(done: (operation: Operation) => void): void {
    this.#exchange();
    for (const operation of this.#finished) done(operation);
    this.#finished.length = 0;
    this.#report();
  }

  /** Sends and receives what is possible without waiting. */
  #exchange(): void {
    const stream = this.#stream;
    if (stream === undefined) {
      this.#isReady = false;
      return;
    }
    try {
      if (stream.hasOutput) this.#send(stream);
      if (this.#isReady) this.#isReady = stream.receive(this.#answer);
    } catch (error) {
      if (!(error instanceof ConnectionLostError)) throw error;
      this.#lose(stream, error);
    }
    this.#report();
  }

  /** @throws ConnectionLostError */
  #send(stream: RequestStream): void {
    stream.send();
    if (stream.hasOutput === this.#awaitsRoom) return;
    this.#awaitsRoom = stream.hasOutput;
    this.#waiter.watchFor(stream.fd, this.#awaitsRoom ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }

  #report(): void {
    this.#link.report(this.#requests.length - this.#free.length, this.#answered);
    this.#answered = 0;
  }

  /** The server has answered a request. */
  readonly #answer = (request: NbdRequest): void => {
    this.#answered++;
    const { command, error } = request;
    if (command === CMD_FLUSH && error !== 0) this.#failure.set(error);
    if (command === CMD_FLUSH && this.#failure.hasFailed) this.#end(request, Errno.EIO);
    // A discard is a hint.
    else this.#end(request, command === CMD_TRIM && error === Errno.EOPNOTSUPP ? 0 : error);
  };

  /** A request is done. */
  #end(request: NbdRequest, error: number): void {
    const { task, isAbandoned } = request;
    this.#release(request);
    if (task !== undefined && !isAbandoned) this.#endPart(task, error);
  }

  #endPart(task: Task, error: number): void {
    task.error ||= error;
    task.pending--;
    if (task.pending === 0) this.#finish(task.operation, task.error);
  }

  #release(request: NbdRequest): void {
    request.task = undefined;
    this.#free.push(request);
  }

  #finish(operation: Operation, error: number): void {
    operation.error = error;
    this.#finished.push(operation);
  }

  /** The requests that are not done, in their order. */
  #pending(): NbdRequest[] {
    return this.#requests.filter(({ task }) => task !== undefined).sort((one, other) => one.order - other.order);
  }

  /** The thread of the connections has something for this one. */
  #followLink(): void {
    const fd = this.#link.takeOffer();
    if (fd !== undefined) {
      this.#attach(fd);
    } else if (this.#stream === undefined && this.#link.state === 'failed') {
      for (const request of this.#pending()) this.#end(request, Errno.EIO);
    }
  }

  #attach(fd: number): void {
    const stream = new RequestStream(fd, this.#export.replies, this.#requests);
    this.#stream = stream;
    for (const request of this.#pending()) {
      request.restart();
      stream.push(request);
    }
    this.#waiter.watch(fd, () => {
      this.#isReady = true;
    });
    this.#isReady = true;
  }

  #lose(stream: RequestStream, { reason }: ConnectionLostError): void {
    this.#detach(stream);
    for (const request of this.#pending()) {
      if (request.isAbandoned) this.#end(request, 0);
      else if (request.error === Errno.EFAULT) this.#end(request, Errno.EFAULT);
      else if (this.#cancelling) this.#end(request, CANCELLED);
    }
    this.#report();
    this.#link.lose(reason);
  }

  #detach(stream: RequestStream): void {
    this.#stream = undefined;
    this.#isReady = false;
    this.#awaitsRoom = false;
    this.#waiter.unwatch(stream.fd);
    stream.close();
  }

  /**
   * A write that the server has, or a part of it, is waited for: it might carry it out after a later one to the same
   * place.
   */
  #cancel(): void {
    this.#cancelling = true;
    if (this.#stream === undefined) {
      for (const request of this.#pending()) this.#end(request, CANCELLED);
      return;
    }
    for (const request of this.#stream.takeQueued()) this.#end(request, CANCELLED);
    for (const request of this.#pending()) {
      const { task, command, isAbandoned } = request;
      if (task === undefined || isAbandoned || (command !== CMD_READ && command !== CMD_FLUSH)) continue;
      request.isAbandoned = true;
      this.#endPart(task, CANCELLED);
    }
  }

  close(): void {
    const stream = this.#stream;
    if (stream !== undefined) {
      this.#sayGoodbye(stream);
      this.#detach(stream);
    }
    this.#waiter.close();
    this.#zeros?.free();
  }

  /** A server that does not take it finds the connection ended. */
  #sayGoodbye(stream: RequestStream): void {
    const task: Task = {
      operation: { type: FLUSH, position: 0, length: 0, first: 0, count: 0, unmap: false, error: 0 },
      pending: 1,
      error: 0,
    };
    stream.push(this.#request(task, CMD_DISC, 0, 0, 0));
    try {
      stream.send();
    } catch (error) {
      if (!(error instanceof ConnectionLostError)) throw error;
    }
  }
}
