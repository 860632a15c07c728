import { CMD_READ, CMD_WRITE, ESHUTDOWN, type ReplyForm } from '../../../nbd/protocol.js';
import { NbdProtocolError } from '../../../nbd/error.js';
import { ReplyReader } from '../../../nbd/reply-reader.js';
import { encodeRequest, MAX_REQUEST_HEADER } from '../../../nbd/request.js';
import { Errno } from '../../../sys/errno.js';
import { copyMemory, fillMemory } from '../../../sys/guarded-copy.js';
import { IoVector } from '../../../sys/io-vector.js';
import { IOV_MAX } from '../../../sys/file.js';
import { NativeBuffer } from '../../../sys/memory.js';
import { SocketMessage } from '../../../sys/stream-socket.js';
import type { LossReason } from './link.js';
import type { NbdRequest } from './request.js';

/** The connection cannot be used any longer. */
export class ConnectionLostError extends Error {
  override readonly name = 'ConnectionLostError';
  readonly reason: LossReason;

  constructor(reason: LossReason) {
    super(reason);
    this.reason = reason;
  }
}

/** What is received before its place is known. */
const BUFFER_BYTES = 64 * 1024;
/** System calls in a row before the thread looks after its queues. */
const ROUNDS = 16;
/** A request with more pieces of memory does not fit into one system call with its header. */
export const MAX_MEMORY = IOV_MAX - 1;

/** Requests and replies on a socket, without waiting. Data moves between it and the driver's memory directly. */
export class RequestStream {
  readonly fd: number;
  readonly #replies: ReplyForm;
  readonly #requests: readonly NbdRequest[];
  readonly #reader: ReplyReader;
  readonly #message = new SocketMessage();
  readonly #headers = new NativeBuffer(IOV_MAX * MAX_REQUEST_HEADER);
  readonly #headerView: DataView;
  /** What is being sent: entries before `#outAt` are sent. */
  readonly #out = new IoVector(IOV_MAX);
  #outAt = 0;
  /** The requests in it, and the number of entries up to the end of each. */
  readonly #sending: { request: NbdRequest; end: number }[] = [];
  #queue: NbdRequest[] = [];
  readonly #in = new IoVector(IOV_MAX);
  readonly #buffer = new NativeBuffer(BUFFER_BYTES);
  readonly #view: DataView;
  /** The bytes of the buffer that were received and not used. */
  #start = 0;
  #end = 0;
  /** Data that follows: for a request, where in its data, how many bytes, and whether its reply ends with it. */
  #target: NbdRequest | undefined;
  #targetAt = 0;
  #left = 0;
  #endsReply = false;
  /** Bytes that follow and do not matter, and the request whose reply ends with them. */
  #skip = 0;
  #dropped: NbdRequest | undefined;

  /** @param requests by slot */
  constructor(fd: number, replies: ReplyForm, requests: readonly NbdRequest[]) {
    this.fd = fd;
    this.#replies = replies;
    this.#requests = requests;
    this.#reader = new ReplyReader(replies);
    this.#headerView = new DataView(this.#headers.u8.buffer);
    this.#view = new DataView(this.#buffer.u8.buffer);
  }

  /** Adds a request, for the next {@link send}. */
  push(request: NbdRequest): void {
    this.#queue.push(request);
  }

  /** Whether there is something to send. */
  get hasOutput(): boolean {
    return this.#queue.length > 0 || this.#outAt < this.#out.count;
  }

  /** Takes back the requests that were not begun. */
  takeQueued(): NbdRequest[] {
    const queued = this.#queue;
    this.#queue = [];
    return queued;
  }

  /** Sends as much as there is room for. @throws ConnectionLostError */
  send(): void {
    while (this.#fill()) {
      const result = this.#message.send(this.fd, this.#out.at(this.#outAt), this.#out.count - this.#outAt);
      if (result === -Errno.EAGAIN) return;
      if (result === -Errno.EINTR) continue;
      if (result === -Errno.EFAULT) this.#loseMemory();
      if (result < 0) throw new ConnectionLostError('the connection was reset');
      this.#sent(result);
    }
  }

  /** @returns whether there is something to send */
  #fill(): boolean {
    if (this.#outAt < this.#out.count) return true;
    this.#out.count = 0;
    this.#outAt = 0;
    this.#sending.length = 0;
    let taken = 0;
    for (const request of this.#queue) {
      const memory = request.command === CMD_WRITE ? request.count : 0;
      if (this.#out.count + 1 + memory > this.#out.capacity) break;
      const at = taken * MAX_REQUEST_HEADER;
      const { command, flags, position, length, slot, sequence } = request;
      const header = { command, flags, position, length, cookieHigh: sequence, cookieLow: slot };
      this.#out.push(this.#headers.address + at, encodeRequest(this.#headerView, at, header, this.#replies));
      for (let index = 0; index < memory; index++) this.#out.push(request.address(index), request.bytes(index));
      request.state = 'sending';
      this.#sending.push({ request, end: this.#out.count });
      taken++;
    }
    this.#queue.splice(0, taken);
    return this.#out.count > 0;
  }

  #sent(count: number): void {
    let left = count;
    while (left > 0) {
      const bytes = this.#out.length(this.#outAt);
      if (left < bytes) {
        this.#out.replace(this.#outAt, this.#out.base(this.#outAt) + left, bytes - left);
        break;
      }
      left -= bytes;
      this.#outAt++;
    }
    let done = 0;
    for (const { request, end } of this.#sending) {
      if (end > this.#outAt) break;
      request.state = 'sent';
      done++;
    }
    this.#sending.splice(0, done);
  }

  /** Memory to write from is missing: the request is begun and cannot be ended, so the connection is of no use. */
  #loseMemory(): never {
    for (const { request } of this.#sending) if (request.command === CMD_WRITE) request.error = Errno.EFAULT;
    throw new ConnectionLostError('memory of the driver has disappeared while it was sent');
  }

  /**
   * Receives what has arrived.
   * @param done called for each request whose reply is complete; its error is set
   * @returns whether there may be more
   * @throws ConnectionLostError
   */
  receive(done: (request: NbdRequest) => void): boolean {
    for (let round = 0; round < ROUNDS; round++) {
      const count = this.#receiveOnce();
      if (count === 0) return false;
      this.#parse(done);
    }
    return true;
  }

  /** @returns the number of bytes received; 0 if there are none yet */
  #receiveOnce(): number {
    this.#in.count = 0;
    // Data goes to its place at once, and what follows it into the buffer.
    const direct = this.#target?.gather(this.#in, this.#targetAt, this.#left) ?? 0;
    const isWhole = direct === this.#left && this.#in.count < this.#in.capacity;
    if (isWhole) this.#in.push(this.#buffer.address + this.#end, BUFFER_BYTES - this.#end);
    const result = this.#message.receive(this.fd, this.#in.at(0), this.#in.count);
    if (result === -Errno.EAGAIN) return 0;
    if (result === -Errno.EINTR) return this.#receiveOnce();
    if (result === -Errno.EFAULT && this.#target !== undefined) {
      this.#target.error = Errno.EFAULT;
      this.#dropTarget(this.#target);
      return this.#receiveOnce();
    }
    if (result < 0) throw new ConnectionLostError('the connection was reset');
    if (result === 0) throw new ConnectionLostError('the server has ended the connection');
    const moved = Math.min(result, direct);
    this.#targetAt += moved;
    this.#left -= moved;
    this.#end += result - moved;
    return result;
  }

  /** The rest of its data is received into nowhere. */
  #dropTarget(request: NbdRequest): void {
    this.#skip = this.#left;
    this.#left = 0;
    this.#target = undefined;
    if (this.#endsReply) this.#dropped = request;
  }

  #parse(done: (request: NbdRequest) => void): void {
    for (;;) {
      const target = this.#target;
      if (target !== undefined) {
        if (this.#left > 0 && !this.#moveToTarget(target)) break;
        this.#endTarget(done);
        continue;
      }
      if (this.#skip > 0) {
        const count = Math.min(this.#skip, this.#end - this.#start);
        this.#start += count;
        this.#skip -= count;
        if (this.#skip > 0) break;
      }
      const dropped = this.#dropped;
      this.#dropped = undefined;
      if (dropped) this.#finish(dropped, done);
      if (!this.#parseHeader(done)) break;
    }
    this.#buffer.u8.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
  }

  /** All data that was expected has its place, or none is expected any longer. */
  #endTarget(done: (request: NbdRequest) => void): void {
    const request = this.#target;
    if (request === undefined || this.#left > 0) return;
    this.#target = undefined;
    if (this.#endsReply) this.#finish(request, done);
  }

  /** Copies data that is in the buffer already. @returns false if more must be received */
  #moveToTarget(request: NbdRequest): boolean {
    const available = Math.min(this.#left, this.#end - this.#start);
    if (available === 0) return false;
    this.#in.count = 0;
    const count = request.gather(this.#in, this.#targetAt, available);
    let at = this.#buffer.address + this.#start;
    for (let entry = 0; entry < this.#in.count; entry++) {
      const length = this.#in.length(entry);
      if (!copyMemory(this.#in.base(entry), at, length)) {
        request.error = Errno.EFAULT;
        this.#dropTarget(request);
        return true;
      }
      at += length;
    }
    this.#start += count;
    this.#targetAt += count;
    this.#left -= count;
    return true;
  }

  /** @returns false if more must be received */
  #parseHeader(done: (request: NbdRequest) => void): boolean {
    const reader = this.#reader;
    const length = this.#read();
    if (length === 0) return false;
    this.#start += length;
    const request = this.#requests[reader.cookieLow];
    // A write must have been sent as a whole: its memory is given back with the answer.
    if (request?.task === undefined || request.state !== 'sent' || request.sequence !== reader.cookieHigh) {
      throw new ConnectionLostError('the server has answered a request that was not made');
    }
    if (reader.error === ESHUTDOWN) throw new ConnectionLostError('the server is shutting down');
    this.#skip = reader.skip;
    if (reader.error !== 0) request.error ||= reader.error;
    const isRead = request.command === CMD_READ;
    if (reader.kind === 'simple') {
      if (isRead && this.#replies !== 'simple')
        throw new ConnectionLostError('the server has sent a reply of the wrong form');
      if (isRead && reader.error === 0) this.#expect(request, request.position, request.length, true);
      else this.#finish(request, done);
      return true;
    }
    if (reader.kind === 'end') {
      if (reader.isDone) this.#finish(request, done);
      return true;
    }
    if (!isRead) throw new ConnectionLostError('the server has sent a reply of the wrong form');
    this.#expect(request, reader.position, reader.length, reader.isDone);
    if (reader.kind === 'hole') this.#fillHole(request);
    return true;
  }

  #read(): number {
    try {
      return this.#reader.read(this.#view, this.#start, this.#end - this.#start);
    } catch (error) {
      if (error instanceof NbdProtocolError)
        throw new ConnectionLostError('the server has sent a reply of the wrong form');
      throw error;
    }
  }

  /** Data of a read follows. */
  #expect(request: NbdRequest, position: number, length: number, endsReply: boolean): void {
    const at = position - request.position;
    if (at < 0 || at + length > request.length || request.received + length > request.length) {
      throw new ConnectionLostError('the server has sent data of the wrong length or place');
    }
    request.received += length;
    this.#target = request;
    this.#targetAt = at;
    this.#left = length;
    this.#endsReply = endsReply;
    if (request.isAbandoned) this.#dropTarget(request);
  }

  #fillHole(request: NbdRequest): void {
    this.#skip = 0;
    if (this.#target === undefined) return;
    this.#in.count = 0;
    request.gather(this.#in, this.#targetAt, this.#left);
    for (let entry = 0; entry < this.#in.count; entry++) {
      if (!fillMemory(this.#in.base(entry), 0, this.#in.length(entry))) request.error = Errno.EFAULT;
    }
    this.#left = 0;
  }

  #finish(request: NbdRequest, done: (request: NbdRequest) => void): void {
    if (request.command === CMD_READ && request.error === 0 && request.received !== request.length) {
      throw new ConnectionLostError('the server has sent data of the wrong length or place');
    }
    done(request);
  }

  /** Frees its memory. The descriptor is not closed. */
  close(): void {
    this.#message.free();
    for (const memory of [this.#headers, this.#buffer]) memory.free();
    for (const vector of [this.#out, this.#in]) vector.free();
  }
}
