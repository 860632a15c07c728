/**
 * The first file of the bundled program: it loads the others, and keeps what V8 made of them.
 *
 * V8 spends more time on reading a program than a short command takes. So a run that finds no compiled code writes that of
 * all the usual parts to bin/cache/, every function in it, whatever it used itself: any later command begins with it. The
 * cache lies beside the program because it is as good as the program: whoever can write here can change either. Where
 * this user cannot, nothing is written; where others could have written a cache file, it is not read.
 */
import {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { Script } from 'node:vm';

/** Put in by the bundler: the parts whose code is kept, each with a hash of its text. */
declare const CACHED_PARTS: Readonly<Record<string, string>>;

/** What a part lets others import: its pieces by name, each as a function that gives what the piece exports. */
type Pieces = Readonly<Record<string, () => unknown>>;

const partsFolder = `${import.meta.dirname}/parts`;
const cacheFolder = `${import.meta.dirname}/cache`;
const isCaching = process.env['VDPA_CODE_CACHE'] !== '0';
const dayMs = 24 * 60 * 60 * 1000;

const loaded = new Map<string, Pieces>();
/** A part had to be compiled that has its code kept. */
let lacksCode = false;

/** What `require` is to the parts: gives modules of Node, packages, and pieces of other parts, as `PART#PIECE`. */
function load(name: string): unknown {
  const end = name.indexOf('#');
  if (end === -1) return process.getBuiltinModule(name) ?? loadPackage(name);
  return partOf(name.slice(0, end))[name.slice(end + 1)]?.();
}

function partOf(name: string): Pieces {
  const known = loaded.get(name);
  if (known !== undefined) return known;
  let shared: Pieces = {};
  const share = (pieces: Pieces): void => {
    shared = pieces;
    loaded.set(name, pieces);
  };
  const filename = `${partsFolder}/${name}`;
  compile(name, filename)(share, load, filename, partsFolder);
  return shared;
}

function loadPackage(name: string): unknown {
  const { createRequire } = process.getBuiltinModule('node:module');
  return createRequire(import.meta.filename)(name) as unknown;
}

type PartFunction = (share: (pieces: Pieces) => void, require: typeof load, filename: string, dirname: string) => void;

function compile(part: string, filename: string): PartFunction {
  const { bytes, owner } = readPart(filename);
  const text = textOf(bytes);
  const cachePath = isCaching ? cachePathOf(part) : undefined;
  if (cachePath === undefined) return new Script(text, { filename }).runInThisContext() as PartFunction;
  const cache = readCache(cachePath, owner);
  const script = new Script(text, cache === undefined ? { filename } : { filename, cachedData: cache.bytes });
  // What another build of the same version of Node has written is not replaced at each turn.
  if (cache === undefined || (script.cachedDataRejected === true && cache.ageMs > dayMs)) lacksCode = true;
  return script.runInThisContext() as PartFunction;
}

/** Where the code of a part is kept, if it is. */
function cachePathOf(part: string): string | undefined {
  const hash = CACHED_PARTS[part];
  return hash === undefined ? undefined : `${cacheFolder}/${part}-${hash}-${process.version}-${process.arch}`;
}

interface File {
  readonly bytes: Buffer;
  readonly owner: number;
  readonly mode: number;
  readonly ageMs: number;
}

/** Reads a file with as few calls as it takes. */
function readFile(fd: number): File {
  const { size, uid, mode, mtimeMs } = fstatSync(fd);
  const bytes = Buffer.allocUnsafeSlow(size);
  let length = 0;
  while (length < size) {
    const read = readSync(fd, bytes, length, size - length, null);
    if (read === 0) break;
    length += read;
  }
  return { bytes: bytes.subarray(0, length), owner: uid, mode, ageMs: Date.now() - mtimeMs };
}

function readPart(filename: string): File {
  const fd = openSync(filename, constants.O_RDONLY);
  try {
    return readFile(fd);
  } finally {
    closeSync(fd);
  }
}

/** The bundler leaves nothing but ASCII in a part. */
function textOf(part: Buffer): string {
  return part.toString('latin1');
}

/** @param owner whoever owns the program; nobody else but root is trusted */
function readCache(path: string, owner: number): File | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch {
    return undefined;
  }
  try {
    const file = readFile(fd);
    const isTrusted = (file.owner === owner || file.owner === 0) && (file.mode & 0o022) === 0;
    return isTrusted ? file : undefined;
  } finally {
    closeSync(fd);
  }
}

/** Keeps the code of all parts, where that is allowed. A cache is no reason to fail. */
function keep(): void {
  try {
    accessSync(import.meta.dirname, constants.W_OK);
    mkdirSync(cacheFolder, { recursive: true, mode: 0o755 });
    for (const part of Object.keys(CACHED_PARTS)) {
      const cachePath = cachePathOf(part);
      if (cachePath !== undefined) writeWhole(cachePath, codeOf(part));
    }
  } catch {
    // The next run compiles again.
  }
}

/** What makes V8 compile every function of a script at once, also of one that it knows, and what takes that back. */
const eagerly = { on: ['--no-lazy', '--no-compilation-cache'], off: ['--lazy', '--compilation-cache'] } as const;

/** V8's code of every function of a part. By itself V8 compiles a function when it is first called. */
function codeOf(part: string): Buffer {
  const filename = `${partsFolder}/${part}`;
  const text = textOf(readPart(filename).bytes);
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  let script: Script;
  try {
    eagerly.on.forEach(setFlagsFromString);
    script = new Script(text, { filename });
  } finally {
    // V8 takes code only where the flags are those it was written with.
    eagerly.off.forEach(setFlagsFromString);
  }
  return script.createCachedData();
}

/** Nobody sees the file before it is whole. */
function writeWhole(path: string, data: Buffer): void {
  const temporary = `${path}.${process.pid}`;
  const fd = openSync(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o644);
  try {
    writeFileSync(fd, data);
    fsyncSync(fd);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

process.once('exit', () => {
  if (lacksCode) keep();
});

partOf('main.js');
