/**
 * The first file of the single executable: runs the parts of the program in it. Their compiled code is in it too, unless it
 * was built on a machine that cannot run it.
 */
import { Script } from 'node:vm';
import { assetBytes } from '../sys/assets.js';
import { runParts, type Part, type PartFunction } from './parts.js';

/** Set by the build: the parts whose compiled code is in the executable. */
declare const COMPILED_PARTS: readonly string[];

const { execPath } = process;
const folder = execPath.slice(0, execPath.lastIndexOf('/'));

function compile(name: string): Part {
  const text = assetBytes(`parts/${name}`);
  // Parts are ASCII: the bundler escapes everything else.
  const source = Buffer.from(text.buffer, text.byteOffset, text.byteLength).toString('latin1');
  const code = COMPILED_PARTS.includes(`code/${name}`) ? { cachedData: assetBytes(`code/${name}`) } : {};
  const script = new Script(source, { filename: name, ...code });
  return { evaluate: script.runInThisContext() as PartFunction, filename: execPath, dirname: folder };
}

runParts(compile, (name) => {
  throw new Error(`the single executable does not contain the package ${name}`);
});
