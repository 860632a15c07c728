declare const VDUSE_MODULES: string | undefined;

/**
 * Where a module is that threads load by themselves. A bundle has them in another place: it says by VDUSE_MODULES in
 * which folder, seen from the file this ends up in.
 */
export function moduleUrl(name: 'worker' | 'block' | 'net'): string {
  const file = name === 'worker' ? 'worker.js' : `${name}-module.js`;
  const folder = typeof VDUSE_MODULES === 'string' ? VDUSE_MODULES : './';
  return new URL(`${folder}${file}`, import.meta.url).href;
}
