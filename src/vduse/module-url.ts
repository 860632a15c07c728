declare const VDUSE_MODULES: string | undefined;

const files = {
  worker: 'worker.js',
  file: 'file-thread.js',
  block: 'block-module.js',
  net: 'net-module.js',
} as const;

/**
 * Where a module is that threads load by themselves. A bundle has them in another place: it says by VDUSE_MODULES in
 * which folder, seen from the file this ends up in.
 */
export function moduleUrl(name: keyof typeof files): string {
  const folder = typeof VDUSE_MODULES === 'string' ? VDUSE_MODULES : './';
  return new URL(`${folder}${files[name]}`, import.meta.url).href;
}
