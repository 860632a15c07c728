/**
 * The first file of the bundled program: it loads the others, and caches their compiled code.
 *
 * V8 takes longer to compile the program than a short command runs. A run without cached code therefore writes that of
 * all common parts to bin/cache/, with every function, used or not, for later commands. The cache is stored next to the
 * program because it must be as trustworthy: a user who can write there can change either. Without write permission
 * nothing is written, and a cache file that other users could have written is not read.
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
import { runParts, type Part, type PartFunction } from './parts.js';

/** Set by the bundler: the cached parts, each with a hash of its text. */
declare const CACHED_PARTS: Readonly<Record<string, string>>;

const partsFolder = `${import.meta.dirname}/parts`;
const cacheFolder = `${import.meta.dirname}/cache`;
const isCaching = process.env['VDPA_CODE_CACHE'] !== '0';
const dayMs = 24 * 60 * 60 * 1000;

/** A cached part had to be compiled. */
let lacksCode = false;

function loadPackage(name: string): unknown {
  const { createRequire } = process.getBuiltinModule('node:module');
  return createRequire(import.meta.filename)(name) as unknown;
}

function evaluate(part: Script): PartFunction {
  // Each part is one expression: the function that the bundler wraps around it.
  return part.runInThisContext() as PartFunction;
}

function compile(part: string): Part {
  const filename = `${partsFolder}/${part}`;
  return { evaluate: evaluatorOf(part, filename), filename, dirname: partsFolder };
}

function evaluatorOf(part: string, filename: string): PartFunction {
  const { bytes, owner } = readPart(filename);
  const text = textOf(bytes);
  const cachePath = isCaching ? cachePathOf(part) : undefined;
  if (cachePath === undefined) return evaluate(new Script(text, { filename }));
  const cache = readCache(cachePath, owner);
  const script = new Script(text, cache === undefined ? { filename } : { filename, cachedData: cache.bytes });
  // Different builds of the same version of Node must not replace each other's cache.
  if (cache === undefined || (script.cachedDataRejected === true && cache.ageMs > dayMs)) lacksCode = true;
  return evaluate(script);
}

/** The cache file of a part, if it is cached. */
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

/** Reads a file with as few system calls as possible. */
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

/** Parts are ASCII: the bundler escapes everything else. */
function textOf(part: Buffer): string {
  return part.toString('latin1');
}

/** @param owner the owner of the program; only this user and root are trusted */
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

/** Caches the code of all parts, if permitted. Failures are ignored. */
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

/** Flags of V8 to compile every function of a script eagerly, even of a known script, and to undo that. */
const eagerly = { on: ['--no-lazy', '--no-compilation-cache'], off: ['--lazy', '--compilation-cache'] } as const;

/** The compiled code of every function of a part. By default V8 compiles a function when it is first called. */
function codeOf(part: string): Buffer {
  const text = textOf(readPart(`${partsFolder}/${part}`).bytes);
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  let script: Script;
  try {
    eagerly.on.forEach(setFlagsFromString);
    // The code contains the name: without a folder it is the same wherever it is compiled. Only Node 20 shows this name in stacks.
    script = new Script(text, { filename: part });
  } finally {
    // V8 accepts code only with the flags that it was compiled with.
    eagerly.off.forEach(setFlagsFromString);
  }
  return script.createCachedData();
}

/** The file becomes visible only once it is complete. */
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

runParts(compile, loadPackage);
