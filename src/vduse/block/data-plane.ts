/** The data plane of a block device: virtio-blk requests on one side, a {@link BlockBackend} on the other. */
import { Errno } from '../../sys/errno.js';
import { IoVector } from '../../sys/io-vector.js';
import * as blk from '../../virtio/block.js';
import { DescriptorChain } from '../../virtio/descriptor-chain.js';
import * as backend from './backend.js';
import type { BackendTransfers, BlockBackend, Operation, OperationType } from './backend.js';
import { BYTES_IN, BYTES_OUT, ERRORS, REQUESTS } from '../engine/counters.js';
import {
  MORE,
  WAIT,
  type DataPlane,
  type DataPlaneContext,
  type ServeResult,
  type Transfers,
} from '../engine/data-plane.js';
import type { DeviceQueue } from '../engine/queue.js';
import { hasFeature } from '../engine/negotiation.js';
import { bytesWritten, OperationSlot, RequestSlot, statusByte } from './request.js';

/** Limits of one request; part of the configuration space. */
export interface BlockLimits {
  /** Size of the device, in bytes. */
  readonly size: number;
  readonly readonly: boolean;
  readonly serial: string;
  /** For one range, in sectors. */
  readonly maxDiscardSectors: number;
  readonly maxDiscardRanges: number;
  readonly maxWriteZeroesSectors: number;
  readonly maxWriteZeroesRanges: number;
}

/**
 * A batch ends when it transfers this much, so that the driver does not wait longer for its first request. Four
 * requests of 1 MiB complete with one interrupt then.
 */
const BATCH_BYTES = 4 * 1024 * 1024;
/** The factor by which a discarded range counts less than a written one. */
const DISCARD_WEIGHT = 1 / 256;
/** Rounds before other queues are served. */
const ROUNDS = 8;
/** At most so many requests begin with the sleep that follows, in one system call. */
const FEW = 4;

/** Sectors up to this one have a byte offset that is a number. */
const MAX_SECTOR_HIGH_WORD = 0xfff;

/** The file of the device was resized: the size of the device from now on, and what is left of the file, in bytes. */
export interface BlockChange {
  readonly size: number;
  readonly left: number;
}

export class BlockPlane implements DataPlane<BlockChange> {
  readonly outOfOrder = true;
  readonly transfers?: Transfers;
  readonly #limits: BlockLimits;
  #size: number;
  readonly #backend: BlockBackend;
  readonly #chain: DescriptorChain;
  readonly #vector: IoVector;
  readonly #queueSize: number;
  /** The requests taken in this round. */
  readonly #batch: RequestSlot[] = [];
  /** Slots that are free. */
  readonly #free: RequestSlot[] = [];
  /** Queues with completed requests that are not published. */
  readonly #touched: DeviceQueue[] = [];
  /** Requests that are begun and not done. */
  #inFlight = 0;
  /** For each queue the requests that are not completed, in the order in which they were taken, if that matters. */
  readonly #orders: WeakMap<DeviceQueue, RequestSlot[]> | undefined;
  #batchBytes = 0;
  #writeThrough = false;
  readonly #header = new Uint8Array(blk.HEADER_SIZE);
  readonly #headerView = new DataView(this.#header.buffer);

  constructor(limits: BlockLimits, backend: BlockBackend, context: Pick<DataPlaneContext, 'queueSize' | 'ordered'>) {
    this.#limits = limits;
    this.#orders = context.ordered ? new WeakMap() : undefined;
    this.#size = limits.size;
    this.#backend = backend;
    this.#queueSize = context.queueSize;
    // A buffer that spans regions, of which there are few, adds a segment.
    this.#chain = new DescriptorChain(context.queueSize * 2);
    this.#vector = new IoVector(Math.max(4096, this.#chain.capacity));
    if (backend.transfers) this.transfers = this.#transfersOf(backend.transfers);
  }

  #transfersOf(transfers: BackendTransfers): Transfers {
    const count = (): number => this.#inFlight;
    return {
      get count() {
        return count();
      },
      get hasDone() {
        return transfers.hasDone;
      },
      pinned: transfers.pinned,
      waiter: transfers.waiter,
      reap: () => {
        this.#backend.reap(this.#done);
        return this.#publish();
      },
      cancel: () => {
        transfers.cancel();
      },
    };
  }

  start(features: bigint): void {
    // For a driver without flush, data must be durable when a write completes.
    this.#writeThrough = !hasFeature(features, blk.VIRTIO_BLK_F_FLUSH);
  }

  change({ size, left }: BlockChange): void {
    this.#size = size;
    this.#backend.resize?.(left);
  }

  close(): void {
    this.#backend.close();
    this.#vector.free();
  }

  serve(queue: DeviceQueue): ServeResult {
    for (let round = 0; round < ROUNDS; round++) {
      const count = this.#serveBatch(queue);
      if (count === 0) return WAIT;
      const beginLater = this.transfers !== undefined && round === 0 && count <= FEW;
      if (!beginLater || this.#touched.length > 0) {
        this.#backend.reap(this.#done);
        this.#publish();
      }
      if (queue.hasPendingCommand()) break;
    }
    return MORE;
  }

  /** Submits a batch of requests. @returns how many */
  #serveBatch(queue: DeviceQueue): number {
    try {
      this.#collect(queue);
      const count = this.#batch.length;
      if (count === 0) return 0;
      queue.checkMemory();
      this.#begin();
      return count;
    } finally {
      // Those that were not begun are taken again.
      for (const request of this.#batch) this.#release(request);
      this.#batch.length = 0;
    }
  }

  /** Takes available requests, up to a batch. */
  #collect(queue: DeviceQueue): void {
    this.#batchBytes = 0;
    this.#vector.count = 0;
    while (this.#batch.length < this.#queueSize && this.#batchBytes < BATCH_BYTES && queue.take(this.#chain)) {
      const request = this.#acquire(queue);
      if (!this.#prepare(request)) {
        // It does not fit into this batch, but into one of its own.
        queue.putBack(request.head);
        this.#release(request);
        return;
      }
      this.#batch.push(request);
    }
  }

  /** A free slot. */
  #acquire(queue: DeviceQueue): RequestSlot {
    const request = this.#free.pop() ?? new RequestSlot(queue);
    request.queue = queue;
    return request;
  }

  #release(request: RequestSlot): void {
    request.statusRegion = undefined;
    this.#free.push(request);
  }

  /** Begins the requests of the batch. */
  #begin(): void {
    for (const request of this.#batch) {
      request.queue.begin(request.head);
      if (this.#orders) this.#orderOf(request.queue, this.#orders).push(request);
      this.#inFlight++;
      request.pending = request.operationCount;
      for (let each = 0; each < request.operationCount; each++) {
        const operation = request.operations[each];
        if (operation) this.#backend.submit(operation, this.#vector);
      }
      if (request.pending === 0) this.#finish(request);
    }
    this.#batch.length = 0;
  }

  #orderOf(queue: DeviceQueue, orders: WeakMap<DeviceQueue, RequestSlot[]>): RequestSlot[] {
    const known = orders.get(queue);
    if (known) return known;
    const order: RequestSlot[] = [];
    orders.set(queue, order);
    return order;
  }

  /** An operation is done. */
  readonly #done = (operation: Operation): void => {
    if (!(operation instanceof OperationSlot)) return;
    const { request } = operation;
    request.error ||= operation.error;
    request.pending--;
    if (request.pending > 0) return;
    if (request.mustFlush && request.error === 0) {
      request.mustFlush = false;
      request.operationCount = 0;
      request.pending = 1;
      this.#backend.submit(this.#addOperation(request, backend.FLUSH, 0, 0), this.#vector);
      return;
    }
    this.#finish(request);
  };

  /** A request is done, or cancelled. */
  #finish(request: RequestSlot): void {
    this.#inFlight--;
    if (this.#orders === undefined) {
      if (request.error !== backend.CANCELLED) this.#complete(request);
      this.#release(request);
      return;
    }
    request.isDone = request.error !== backend.CANCELLED;
    const order = this.#orders.get(request.queue) ?? [];
    let count = 0;
    for (; order[count]?.isDone === true; count++) {
      const next = order[count];
      if (next) this.#complete(next);
      if (next) this.#release(next);
    }
    order.splice(0, count);
  }

  /** Completes a request. The driver sees it after {@link DeviceQueue.flush}. */
  #complete(request: RequestSlot): void {
    const { queue, error, statusRegion } = request;
    if (statusRegion) statusRegion.u8[request.statusOffset] = statusByte(error);
    queue.complete(request.head, bytesWritten(request, error));
    queue.count(REQUESTS, 1);
    if (error !== 0) queue.count(ERRORS, 1);
    else if (request.dataIn > 0) queue.count(BYTES_IN, request.dataIn);
    else if (request.dataOut > 0) queue.count(BYTES_OUT, request.dataOut);
    if (this.#touched.at(-1) !== queue && !this.#touched.includes(queue)) this.#touched.push(queue);
  }

  /** Publishes completed requests. @returns whether there were any @throws MemoryRevokedError */
  #publish(): boolean {
    if (this.#touched.length === 0) return false;
    try {
      for (const queue of this.#touched) if (queue.usable) queue.flush();
    } finally {
      this.#touched.length = 0;
    }
    return true;
  }

  /** Converts a chain to operations. @returns false if it does not fit into the vector */
  #prepare(request: RequestSlot): boolean {
    const chain = this.#chain;
    request.head = chain.head;
    request.operationCount = 0;
    request.error = 0;
    request.isDone = false;
    request.mustFlush = false;
    request.dataIn = 0;
    request.dataOut = 0;
    request.writable = chain.fault === undefined ? chain.writableBytes : 0;
    this.#locateStatus(request);
    if (chain.fault !== undefined || request.statusRegion === undefined || chain.readableBytes < blk.HEADER_SIZE) {
      request.error = Errno.EIO;
      return true;
    }
    let header: DataView = this.#headerView;
    let at = 0;
    if (chain.length(0) >= blk.HEADER_SIZE) {
      header = chain.region(0).data;
      at = chain.offset(0);
    } else {
      chain.read(this.#header);
    }
    const type = header.getUint32(at, true);
    const sectorLow = header.getUint32(at + 8, true);
    const sectorHigh = header.getUint32(at + 12, true);
    switch (type) {
      case blk.VIRTIO_BLK_T_IN:
        return this.#addTransfer(request, backend.READ, sectorLow, sectorHigh, chain.writableBytes - 1);
      case blk.VIRTIO_BLK_T_OUT:
        return this.#addTransfer(request, backend.WRITE, sectorLow, sectorHigh, chain.readableBytes - blk.HEADER_SIZE);
      case blk.VIRTIO_BLK_T_FLUSH:
        this.#addOperation(request, backend.FLUSH, 0, 0);
        return true;
      case blk.VIRTIO_BLK_T_GET_ID:
        this.#writeId(request);
        return true;
      case blk.VIRTIO_BLK_T_DISCARD:
        this.#addRanges(request, backend.DISCARD, this.#limits.maxDiscardRanges, this.#limits.maxDiscardSectors);
        return true;
      case blk.VIRTIO_BLK_T_WRITE_ZEROES: {
        const { maxWriteZeroesRanges, maxWriteZeroesSectors } = this.#limits;
        this.#addRanges(request, backend.WRITE_ZEROES, maxWriteZeroesRanges, maxWriteZeroesSectors);
        return true;
      }
      default:
        request.error = Errno.EOPNOTSUPP;
        return true;
    }
  }

  /** The status byte is the last byte that the device may write. */
  #locateStatus(request: RequestSlot): void {
    const chain = this.#chain;
    request.statusRegion = undefined;
    if (!chain.endWritable) return;
    const last = chain.count - 1;
    request.statusRegion = chain.region(last);
    request.statusOffset = chain.offset(last) + chain.length(last) - 1;
  }

  #addTransfer(
    request: RequestSlot,
    type: typeof backend.READ | typeof backend.WRITE,
    sectorLow: number,
    sectorHigh: number,
    length: number,
  ): boolean {
    const position = (sectorHigh * 0x1_0000_0000 + sectorLow) * blk.SECTOR_SIZE;
    const writing = type === backend.WRITE;
    if (
      sectorHigh > MAX_SECTOR_HIGH_WORD ||
      position + length > this.#size ||
      length % blk.SECTOR_SIZE !== 0 ||
      (writing && this.#limits.readonly)
    ) {
      request.error = Errno.EIO;
      return true;
    }
    if (length === 0) return true;
    const first = this.#vector.count;
    if (!this.#chain.gather(this.#vector, !writing, writing ? blk.HEADER_SIZE : 0, length)) {
      this.#vector.count = first;
      return false;
    }
    const operation = this.#addOperation(request, type, position, length);
    operation.first = first;
    operation.count = this.#vector.count - first;
    if (writing) request.dataOut = length;
    else request.dataIn = length;
    this.#batchBytes += length;
    return true;
  }

  #addOperation(request: RequestSlot, type: OperationType, position: number, length: number): OperationSlot {
    const operation = (request.operations[request.operationCount++] ??= new OperationSlot(request));
    operation.type = type;
    operation.position = position;
    operation.length = length;
    operation.first = 0;
    operation.count = 0;
    operation.unmap = false;
    operation.error = 0;
    request.mustFlush ||= this.#writeThrough && type !== backend.READ && type !== backend.FLUSH;
    return operation;
  }

  /** The ranges of a discard or write zeroes are data of the request. */
  #addRanges(
    request: RequestSlot,
    type: typeof backend.DISCARD | typeof backend.WRITE_ZEROES,
    maxRanges: number,
    maxSectors: number,
  ): void {
    const bytes = this.#chain.readableBytes - blk.HEADER_SIZE;
    if (this.#limits.readonly || bytes === 0 || bytes % blk.RANGE_SIZE !== 0 || bytes > maxRanges * blk.RANGE_SIZE) {
      request.error = Errno.EIO;
      return;
    }
    const ranges = new Uint8Array(bytes);
    this.#chain.read(ranges, blk.HEADER_SIZE);
    const view = new DataView(ranges.buffer);
    for (let at = 0; at < bytes; at += blk.RANGE_SIZE) {
      const sectorHigh = view.getUint32(at + 4, true);
      const position = (sectorHigh * 0x1_0000_0000 + view.getUint32(at, true)) * blk.SECTOR_SIZE;
      const sectors = view.getUint32(at + 8, true);
      const flags = view.getUint32(at + 12, true);
      const allowed = type === backend.WRITE_ZEROES ? blk.VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0;
      if ((flags & ~allowed) !== 0) {
        request.error = Errno.EOPNOTSUPP;
      } else if (
        sectorHigh > MAX_SECTOR_HIGH_WORD ||
        sectors > maxSectors ||
        position + sectors * blk.SECTOR_SIZE > this.#size
      ) {
        request.error = Errno.EIO;
      } else if (sectors > 0) {
        const operation = this.#addOperation(request, type, position, sectors * blk.SECTOR_SIZE);
        operation.unmap = flags !== 0;
        this.#batchBytes += operation.length * (type === backend.DISCARD ? DISCARD_WEIGHT : 1);
      }
    }
    // One invalid range makes the request invalid: none of them is executed.
    if (request.error !== 0) request.operationCount = 0;
  }

  #writeId(request: RequestSlot): void {
    const id = new Uint8Array(Math.min(blk.VIRTIO_BLK_ID_BYTES, this.#chain.writableBytes - 1));
    id.set(Buffer.from(this.#limits.serial).subarray(0, id.length));
    this.#chain.write(id);
    request.dataIn = id.length;
  }
}
