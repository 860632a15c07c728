import { SHARE_ENV, Worker } from 'node:worker_threads';
import { monotonicMs } from '../../sys/clock.js';
import { SystemError, type SystemErrorDetails } from '../../sys/error.js';
import type { BlockSizes } from './identity.js';
import { DeviceOptionError } from '../spec/error.js';
import { moduleUrl } from '../engine/module-url.js';

/** Which file is to be opened, and how. */
export interface FileOptions {
  readonly path: string;
  /** Bytes that it must have. */
  readonly size: number | undefined;
  /** Bytes of a logical block; what the file or the disk says by itself where it is not given. */
  readonly blockSize: 512 | 4096 | undefined;
  readonly readonly: boolean;
}

/** What an open file is. */
export interface FileInfo {
  readonly fd: number;
  /** Bytes. */
  readonly length: number;
  /** Which file or disk it is, whatever its path; see InstanceMakings. */
  readonly name: string;
  /** Of a block device: bytes of the disk's own logical block, whatever its driver sees. */
  readonly deviceBlock: number | undefined;
  readonly blocks: BlockSizes;
}

export type FileRequest = 'measure' | 'close';

/** What the thread of a file tells. */
export type FileReply =
  | { readonly type: 'opened'; readonly facts: FileInfo }
  | { readonly type: 'refused'; readonly system: SystemErrorDetails }
  | { readonly type: 'refused'; readonly option: string }
  | { readonly type: 'failed'; readonly text: string }
  /** `length` is undefined where it cannot be told now. */
  | { readonly type: 'measured'; readonly length: number | undefined }
  | { readonly type: 'closed' };

/** How often the file is measured. */
const MEASURE_MS = 1000;

/** How long it may take to close it: a file system may write then. */
const CLOSE_TIMEOUT_MS = 30_000;

/**
 * The file that a block device is in, or another block device. It may be on a file system that does not answer: so a thread of
 * its own opens, measures and closes it, and nobody waits for that thread but who opens the file, and for a while who closes it.
 */
export class BackingFile {
  readonly facts: FileInfo;
  readonly #worker: Worker;
  #timer: NodeJS.Timeout | undefined;
  /** Since when an answer is waited for. */
  #waitingSince: number | undefined;
  #follow: (length: number) => void = () => undefined;

  /** @throws DeviceOptionError, SystemError */
  static async open(wanted: FileOptions): Promise<BackingFile> {
    const worker = new Worker(new URL(moduleUrl('file-thread')), {
      workerData: wanted,
      env: SHARE_ENV,
      trackUnmanagedFds: false,
    });
    const notice = await new Promise<FileReply>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    if (notice.type === 'opened') return new BackingFile(worker, notice.facts);
    await worker.terminate();
    if (notice.type === 'failed') throw new Error(notice.text);
    if (notice.type !== 'refused') throw new Error(`a file was ${notice.type} before it was open`);
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

  /** Measures the file again and again. @param changed is given its length in bytes, changed or not */
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

  /** For how long the file has not answered, in milliseconds; 0 where nothing is waited for. */
  get stalledMs(): number {
    return this.#waitingSince === undefined ? 0 : monotonicMs() - this.#waitingSince;
  }

  /** Closes it. Nobody may use the descriptor any more. @returns false where that takes too long: its thread goes on */
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
