declare const VDUSE_MODULES: string | undefined;

/** The modules that threads load: their names in a bundle, and where each is below src/vduse. */
const places = {
  'data-thread': 'engine/thread-entry.js',
  'file-thread': 'block/file-thread.js',
  'nbd-thread': 'block/nbd/connector-thread.js',
  'pool-thread': 'block/backends/pool-thread.js',
  'block-module': 'block/module.js',
  'net-module': 'net/module.js',
} as const;

/** A module that threads load. */
export type ThreadModule = keyof typeof places;

/**
 * The URL of a module that threads load. A bundle has them in one directory: VDUSE_MODULES gives it relative to the
 * bundled file, and in the single executable as URLs of its own (embedded-modules.ts).
 */
export function moduleUrl(name: ThreadModule): string {
  const path = typeof VDUSE_MODULES === 'string' ? `${VDUSE_MODULES}${name}.js` : `../${places[name]}`;
  return new URL(path, import.meta.url).href;
}
