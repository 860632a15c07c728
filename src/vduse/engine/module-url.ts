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

/**
 * The URL of a module that threads load. A bundle has them in one directory: VDUSE_MODULES gives it relative to the
 * bundled file.
 */
export function moduleUrl(name: keyof typeof places): string {
  const path = typeof VDUSE_MODULES === 'string' ? `${VDUSE_MODULES}${name}.js` : `../${places[name]}`;
  return new URL(path, import.meta.url).href;
}
