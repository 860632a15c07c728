/** The inflight logs of a device in a file, which one server of the device leaves for the next. */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { MAP_SHARED, mapFile, PROT_READ, PROT_WRITE, viewMemory } from '../../sys/memory.js';
import { VduseError } from '../error.js';
import { InflightLog } from './inflight-log.js';

/** Words of the header, which takes a cache line. */
const HEADER_WORDS = 16;
const MAGIC = 0x4c46_4456; // "VDFL"
/** A log with the chains of packed queues is a different one. */
const VERSION = 1;
const PACKED_VERSION = 2;

/** The queues of a device. */
export interface LoggedQueues {
  readonly queueCount: number;
  /** The most descriptors that a queue may have. */
  readonly queueSize: number;
  /** Whether they may be packed. */
  readonly packed: boolean;
}

/** Bytes of the file. */
function fileBytes({ queueCount, queueSize, packed }: LoggedQueues): number {
  return (HEADER_WORDS + queueCount * InflightLog.words(queueSize, packed)) * 4;
}

/** The words with which it begins. */
function header({ queueCount, queueSize, packed }: LoggedQueues): number[] {
  return [MAGIC, packed ? PACKED_VERSION : VERSION, queueCount, queueSize];
}

/** The file, for the main thread. */
export class InflightFile {
  readonly #path: string;
  #fd: number | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Opens the file, or creates it.
   * @param resume its content is that of the running driver; otherwise it is forgotten
   * @returns its descriptor, for mapInflightLogs
   * @throws as openSync; VduseError if another version of the program has written it, or if it is missing for packed
   *   queues: the chains in flight are unknown
   */
  open(queues: LoggedQueues, resume: boolean): number {
    const fd = openSync(this.#path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    this.#fd = fd;
    const isEmpty = fstatSync(fd).size === 0;
    if (resume && isEmpty && queues.packed) throw missingLog();
    if (!resume || isEmpty) create(fd, queues);
    else check(fd, queues);
    return fd;
  }

  /** Closes it; the mapped logs remain. */
  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

/** Its size is set last: an empty file is one that was not finished. */
function create(fd: number, queues: LoggedQueues): void {
  const length = fileBytes(queues);
  ftruncateSync(fd, 0);
  // Written, not only made longer: lack of space must be an error now, not a signal later.
  const words = new Uint32Array(length / 4);
  words.set(header(queues));
  const blank = InflightLog.blank(queues.queueSize, queues.packed);
  for (let queue = 0; queue < queues.queueCount; queue++) words.set(blank, HEADER_WORDS + queue * blank.length);
  const bytes = new Uint8Array(words.buffer);
  for (let done = 0; done < length;) done += writeSync(fd, bytes, done, length - done, done);
}

function check(fd: number, queues: LoggedQueues): void {
  const found = new Uint32Array(4);
  readSync(fd, found, 0, found.byteLength, 0);
  if (fstatSync(fd).size === fileBytes(queues) && header(queues).every((word, index) => found[index] === word)) return;
  throw new VduseError(
    'The log of requests in flight is that of another version of vdpa: delete the device and add it again',
  );
}

/** Packed queues cannot be served from where they are: only the log tells. */
export function missingLog(): VduseError {
  return new VduseError('The log of requests in flight is missing: delete the device and add it again');
}

/** The logs of the file, mapped by a data thread. @param fd of {@link InflightFile} */
export function mapInflightLogs(fd: number, queues: LoggedQueues): InflightLog[] {
  const { queueCount, queueSize, packed } = queues;
  const length = fileBytes(queues);
  const address = mapFile('map the inflight log', fd, length, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
  const buffer = viewMemory(address, length);
  const words = InflightLog.words(queueSize, packed);
  return Array.from(
    { length: queueCount },
    (_, queue) =>
      new InflightLog(new Uint32Array(buffer, (HEADER_WORDS + queue * words) * 4, words), queueSize, packed),
  );
}
