import { VduseError } from '../error.js';
import type { Worker } from 'node:worker_threads';
import { monotonicMs } from '../../sys/clock.js';
import { SystemError, type SystemErrorDetails } from '../../sys/error.js';
import type { BlockSizes } from './identity.js';
import { DeviceOptionError } from '../spec/error.js';
import { startThread } from '../engine/start-thread.js';
import type { AioMode, CacheMode } from '../spec/fields.js';
import type { FileAccess } from './file-access.js';

/** The file to open, and how to open it. */
export interface FileOptions {
  readonly path: string;
  /** Required size, in bytes. */
  readonly size: number | undefined;
  /** Size of a logical block, in bytes; by default that of the file or the disk. */
  readonly blockSize: 512 | 4096 | undefined;
  readonly readonly: boolean;
  readonly cache: CacheMode | undefined;
  readonly aio: AioMode | undefined;
  /** Number of data threads. */
  readonly threads: number;
}

/** Properties of an open file. */
export interface FileInfo {
  readonly access: FileAccess;
  /** Bytes. */
  readonly length: number;
  /** Identifies the file or disk, independent of its path; see RecordedSpec. */
  readonly name: string;
  /** For a block device: size of the disk's own logical block, in bytes, whatever the driver sees. */
  readonly deviceBlock: number | undefined;
  readonly blocks: BlockSizes;
}

export type FileRequest = 'measure' | 'close';

/** Messages of the thread of a file. */
export type FileReply =
  | { readonly type: 'opened'; readonly facts: FileInfo }
  | { readonly type: 'refused'; readonly system: SystemErrorDetails }
  | { readonly type: 'refused'; readonly option: string }
  | { readonly type: 'failed'; readonly text: string }
  /** `length` is undefined if the file cannot be measured now. */
  | { readonly type: 'measured'; readonly length: number | undefined }
  | { readonly type: 'closed' };

/** Interval at which the file is measured. */
const MEASURE_MS = 1000;

/** Time limit for closing the file: a file system may write then. */
const CLOSE_TIMEOUT_MS = 30_000;

/**
 * The file or block device that stores a served block device. Its file system may not respond, so a separate thread
 * opens, measures and closes it. Only opening waits for that thread, and closing for a limited time.
 */
export class BackingFile {
  readonly facts: FileInfo;
  readonly #worker: Worker;
  #timer: NodeJS.Timeout | undefined;
  /** When the pending request was made. */
  #waitingSince: number | undefined;
  #follow: (length: number) => void = () => undefined;

  /** @throws DeviceOptionError, SystemError */
  static async open(wanted: FileOptions): Promise<BackingFile> {
    const worker = startThread('file-thread', {
      workerData: wanted,
    });
    const notice = await new Promise<FileReply>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    if (notice.type === 'opened') return new BackingFile(worker, notice.facts);
    await worker.terminate();
    if (notice.type === 'failed') throw new VduseError(notice.text);
    if (notice.type !== 'refused') throw new Error(`a file was ${notice.type} before it was opened`);
    throw 'option' in notice ? new DeviceOptionError(notice.option) : new SystemError(notice.system);
  }

  private constructor(worker: Worker, facts: FileInfo) {
    this.#worker = worker;
    this.facts = facts;
    worker.unref();
    worker.on('message', (notice: FileReply) => {
      if (notice.type !== 'measured') return;
      this.#waitingSince = undefined;
      if (notice.length !== undefined) this.#follow(notice.length);
    });
  }

  /** Measures the file periodically. @param changed called with its length in bytes each time, changed or not */
  follow(changed: (length: number) => void): void {
    this.#follow = changed;
    this.#timer = setInterval(() => {
      if (this.#waitingSince === undefined) this.#ask('measure');
    }, MEASURE_MS).unref();
  }

  #ask(request: FileRequest): void {
    this.#waitingSince ??= monotonicMs();
    this.#worker.postMessage(request);
  }

  /** How long the file has not responded, in milliseconds; 0 if no request is pending. */
  get stalledMs(): number {
    return this.#waitingSince === undefined ? 0 : monotonicMs() - this.#waitingSince;
  }

  /**
   * Closes the file. The descriptor must not be used afterwards. @returns false if that takes too long: its thread
   * continues
   */
  async close(): Promise<boolean> {
    clearInterval(this.#timer);
    const closed = new Promise<boolean>((resolve) => {
      const timer = setTimeout(resolve, CLOSE_TIMEOUT_MS, false);
      this.#worker.once('exit', () => {
        clearTimeout(timer);
        resolve(true);
      });
    });
    this.#worker.ref();
    this.#ask('close');
    const done = await closed;
    if (!done) this.#worker.unref();
    return done;
  }
}
