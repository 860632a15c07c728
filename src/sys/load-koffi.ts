import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { default as KoffiModule } from 'koffi';
import { assetBytes } from './assets.js';
import { loadEmbedded } from './embedded-module.js';
import { MissingKoffiError, UnsupportedMachineError } from './error.js';
import { whyUnsupported } from './platform.js';
import { isExecutable } from './program.js';

/** The interface of koffi's native module: the exports of its package without deprecated ones. */
export type Koffi = typeof KoffiModule;

let loaded: Koffi | undefined;

/**
 * The foreign function interface. Koffi's package reads and parses the running executable to choose its native module,
 * which takes several times as long as opening it. The module is therefore opened directly if the choice is clear.
 * @throws UnsupportedMachineError, MissingKoffiError
 */
export function loadKoffi(): Koffi {
  return (loaded ??= openKoffi());
}

function openKoffi(): Koffi {
  const reason = whyUnsupported();
  if (reason !== undefined) throw new UnsupportedMachineError(reason);
  return isExecutable ? openEmbedded() : (openDirectly() ?? loadPackage());
}

/** @throws MissingKoffiError */
function openEmbedded(): Koffi {
  const module = { exports: {} };
  try {
    loadEmbedded(module, () => assetBytes('koffi.node'));
  } catch (cause) {
    throw new MissingKoffiError(
      cause,
      'This requires one folder of these with space for 2 MB, not mounted noexec, on a file system with O_TMPFILE',
    );
  }
  // The build embeds the module of the package that its types belong to.
  return module.exports as Koffi;
}

function openDirectly(): Koffi | undefined {
  const file = findNativeModule();
  if (file === undefined) return undefined;
  const module: { exports: Partial<Koffi> } = { exports: {} };
  try {
    process.dlopen(module, file);
  } catch {
    return undefined; // Koffi's own loader tries others, and reports it better if none fits.
  }
  // Another major version has another interface; let koffi's package check its own parts.
  return isKoffi3(module.exports) ? module.exports : undefined;
}

/** The path of the prebuilt module for glibc on this architecture, searched for as Node searches for packages. */
function findNativeModule(): string | undefined {
  // The two architectures whose triplet is plain, without a choice of float ABI or byte order.
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64') || hasMusl())
    return undefined;
  const relative = `node_modules/@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`;
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const file = join(folder, relative);
    if (existsSync(file)) return file;
    if (folder === dirname(folder)) return undefined;
  }
}

/** If musl's loader exists, Node itself may be linked to it. Its path is part of musl's ABI. */
function hasMusl(): boolean {
  return existsSync(`/lib/ld-musl-${process.arch === 'x64' ? 'x86_64' : 'aarch64'}.so.1`);
}

function isKoffi3(candidate: Partial<Koffi>): candidate is Koffi {
  return candidate.version?.startsWith('3.') === true && typeof candidate.load === 'function';
}

/** @throws MissingKoffiError */
function loadPackage(): Koffi {
  // Loaded here, not imported: loading takes time, and it is rarely needed.
  const { createRequire } = process.getBuiltinModule('node:module');
  const load: (name: string) => unknown = createRequire(import.meta.filename);
  try {
    // The package that its types belong to: package.json requires its version.
    return load('koffi') as Koffi;
  } catch (cause) {
    throw new MissingKoffiError(cause);
  }
}
