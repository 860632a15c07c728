/** The inflight logs of a device in a file, which one server of the device leaves for the next. */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { MAP_SHARED, mapFile, PROT_READ, PROT_WRITE, viewMemory } from '../../sys/memory.js';
import { VduseError } from '../error.js';
import { InflightLog } from './inflight-log.js';

/** Words of the header, which takes a cache line. */
const HEADER_WORDS = 16;
const MAGIC = 0x4c46_4456; // "VDFL"
const VERSION = 1;

/** Bytes of the file. */
function fileBytes(queueCount: number, queueSize: number): number {
  return (HEADER_WORDS + queueCount * InflightLog.words(queueSize)) * 4;
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
   * @throws as openSync; VduseError if another version of the program has written it: the chains in flight are unknown
   */
  open(queueCount: number, queueSize: number, resume: boolean): number {
    const fd = openSync(this.#path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    this.#fd = fd;
    const length = fileBytes(queueCount, queueSize);
    if (!resume || fstatSync(fd).size === 0) create(fd, length, queueCount, queueSize);
    else check(fd, length, queueCount, queueSize);
    return fd;
  }

  /** Closes it; the mapped logs remain. */
  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

/** Its size is set last: an empty file is one that was not finished. */
function create(fd: number, length: number, queueCount: number, queueSize: number): void {
  ftruncateSync(fd, 0);
  // Written, not only made longer: lack of space must be an error now, not a signal later.
  const words = new Uint32Array(length / 4);
  words.set([MAGIC, VERSION, queueCount, queueSize]);
  const blank = InflightLog.blank(queueSize);
  for (let queue = 0; queue < queueCount; queue++) words.set(blank, HEADER_WORDS + queue * blank.length);
  const bytes = new Uint8Array(words.buffer);
  for (let done = 0; done < length;) done += writeSync(fd, bytes, done, length - done, done);
}

function check(fd: number, length: number, queueCount: number, queueSize: number): void {
  const header = new Uint32Array(4);
  readSync(fd, header, 0, header.byteLength, 0);
  const expected = [MAGIC, VERSION, queueCount, queueSize];
  if (fstatSync(fd).size === length && expected.every((word, index) => header[index] === word)) return;
  throw new VduseError(
    'The log of requests in flight is that of another version of vdpa: delete the device and add it again',
  );
}

/** The logs of the file, mapped by a data thread. @param fd of {@link InflightFile} */
export function mapInflightLogs(fd: number, queueCount: number, queueSize: number): InflightLog[] {
  const length = fileBytes(queueCount, queueSize);
  const address = mapFile('map the inflight log', fd, length, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
  const buffer = viewMemory(address, length);
  const words = InflightLog.words(queueSize);
  return Array.from(
    { length: queueCount },
    (_, queue) => new InflightLog(new Uint32Array(buffer, (HEADER_WORDS + queue * words) * 4, words), queueSize),
  );
}
