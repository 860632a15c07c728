import { existsSync } from 'node:fs';

/** The directory for runtime files of this user: /run for root, for others that of their session. */
export function runtimeBase(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  if (process.geteuid?.() === 0) return '/run';
  const folder = environment['XDG_RUNTIME_DIR'];
  // The specification of XDG_RUNTIME_DIR requires that a relative path is ignored.
  return folder?.startsWith('/') === true ? folder : undefined;
}

/** The directory of all servers in it; each device has a subdirectory. */
export const SERVERS_FOLDER = ['vdpa', 'vduse'] as const;

/** Whether a device has, or had, a server of vdpa. Cheap: most devices have none. */
export function hasRuntimeFolder(name: string): boolean {
  const base = runtimeBase();
  const isFileName = name !== '' && name !== '.' && name !== '..' && !name.includes('/');
  return base !== undefined && isFileName && existsSync([base, ...SERVERS_FOLDER, name].join('/'));
}
