import { existsSync } from 'node:fs';

/** Where runtime files of this user go: root's to /run, another's to where its session says. */
export function runtimeBase(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  if (process.geteuid?.() === 0) return '/run';
  const folder = environment['XDG_RUNTIME_DIR'];
  // The specification of XDG_RUNTIME_DIR wants a relative path to be ignored.
  return folder?.startsWith('/') === true ? folder : undefined;
}

/** In it, the folder of all servers; each device has one in that. */
export const SERVERS_FOLDER = ['vdpa', 'vduse'] as const;

/** Whether a device has, or has had, a server of ours. Cheap: most devices have none. */
export function hasRuntimeFolder(name: string): boolean {
  const base = runtimeBase();
  const isFileName = name !== '' && name !== '.' && name !== '..' && !name.includes('/');
  return base !== undefined && isFileName && existsSync([base, ...SERVERS_FOLDER, name].join('/'));
}
