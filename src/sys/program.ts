import { fileURLToPath } from 'node:url';

/** Defined in the bundle only. */
declare const VDUSE_MODULES: string | undefined;

/** The path of this program, for Node. */
export function programPath(): string {
  const place = typeof VDUSE_MODULES === 'string' ? '../vdpa.js' : '../main.js';
  return fileURLToPath(new URL(place, import.meta.url));
}
