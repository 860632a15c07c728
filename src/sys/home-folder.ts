import { isAbsolute } from 'node:path';

/**
 * The home folder of this user: HOME, or what the system's list of users says where that is unset, empty or relative.
 * Node's module is only loaded where the environment does not say it.
 * @returns an absolute path; undefined where there is none: nothing is to be looked for, or written, in the working folder
 */
export function homeFolder({ HOME }: Readonly<Record<string, string | undefined>>): string | undefined {
  if (HOME !== undefined && isAbsolute(HOME)) return HOME;
  try {
    // Not os.homedir(), which gives HOME back even where it is empty.
    const { homedir } = process.getBuiltinModule('node:os').userInfo();
    return isAbsolute(homedir) ? homedir : undefined;
  } catch {
    return undefined; // This user is not in the list: a container's.
  }
}
