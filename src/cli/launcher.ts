/**
 * The first file of the bundled program: it loads the others, and keeps what V8 made of them.
 *
 * V8 spends more time on reading a program than a short command takes. So the code that it has compiled by the end of a
 * first run is written to bin/cache/, for the next runs to begin with. The cache lies beside the program because it is
 * as good as the program: whoever can write here can change either. Where this user cannot, nothing is written; where
 * others could have written a cache file, it is not read.
 */
import {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { Script } from 'node:vm';

/** Put in by the bundler: the parts whose code is kept, each with a hash of its text. */
declare const CACHED_PARTS: Readonly<Record<string, string>>;

/** A part that this run has compiled, and where its code goes. */
interface Compiled {
  readonly script: Script;
  readonly cachePath: string;
}

const partsFolder = `${import.meta.dirname}/parts`;
const cacheFolder = `${import.meta.dirname}/cache`;
const isCaching = process.env['VDPA_CODE_CACHE'] !== '0';
const dayMs = 24 * 60 * 60 * 1000;

const loaded = new Map<string, { exports: unknown }>();
const toKeep: Compiled[] = [];

/** What `require` is to the parts. */
function load(name: string): unknown {
  if (!name.startsWith('./')) return process.getBuiltinModule(name) ?? loadPackage(name);
  const part = name.slice(2);
  const known = loaded.get(part);
  if (known !== undefined) return known.exports;
  const module = { exports: {} };
  loaded.set(part, module);
  const filename = `${partsFolder}/${part}`;
  compile(part, filename).call(module.exports, module.exports, load, module, filename, partsFolder);
  return module.exports;
}

function loadPackage(name: string): unknown {
  const { createRequire } = process.getBuiltinModule('node:module');
  return createRequire(import.meta.filename)(name) as unknown;
}

type PartFunction = (
  this: unknown,
  exports: unknown,
  require: typeof load,
  module: { exports: unknown },
  filename: string,
  dirname: string,
) => void;

function compile(part: string, filename: string): PartFunction {
  const { text, owner } = readPart(filename);
  const hash = isCaching ? CACHED_PARTS[part] : undefined;
  if (hash === undefined) return new Script(text, { filename }).runInThisContext() as PartFunction;
  const cachePath = `${cacheFolder}/${part}-${hash}-${process.version}-${process.arch}`;
  const cache = readCache(cachePath, owner);
  const script = new Script(text, cache === undefined ? { filename } : { filename, cachedData: cache.data });
  // What another build of the same version of Node has written is not replaced at each turn.
  if (cache === undefined || (script.cachedDataRejected === true && cache.ageMs > dayMs)) {
    toKeep.push({ script, cachePath });
  }
  return script.runInThisContext() as PartFunction;
}

function readPart(filename: string): { readonly text: string; readonly owner: number } {
  const fd = openSync(filename, constants.O_RDONLY);
  try {
    // The bundler leaves nothing but ASCII in it.
    return { text: readFileSync(fd, 'latin1'), owner: fstatSync(fd).uid };
  } finally {
    closeSync(fd);
  }
}

/** @param owner whoever owns the program; nobody else but root is trusted */
function readCache(path: string, owner: number): { readonly data: Buffer; readonly ageMs: number } | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch {
    return undefined;
  }
  try {
    const { uid, mode, mtimeMs } = fstatSync(fd);
    const isTrusted = (uid === owner || uid === 0) && (mode & 0o022) === 0;
    return isTrusted ? { data: readFileSync(fd), ageMs: Date.now() - mtimeMs } : undefined;
  } finally {
    closeSync(fd);
  }
}

/** Keeps what was compiled, where that is allowed. A cache is no reason to fail. */
function keep(): void {
  try {
    accessSync(import.meta.dirname, constants.W_OK);
    mkdirSync(cacheFolder, { recursive: true, mode: 0o755 });
    for (const { script, cachePath } of toKeep) writeWhole(cachePath, script.createCachedData());
  } catch {
    // The next run compiles again.
  }
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

process.once('exit', (status) => {
  // The first run that did what it was told has used what others will use.
  if (status === 0 && toKeep.length > 0) keep();
});

load('./main.js');
