import { isAbsolute } from 'node:path';

/**
 * The home directory of this user: HOME, or the one in the user database if HOME is unset, empty or relative. Node's
 * module is only loaded if HOME is not usable.
 * @returns an absolute path; undefined if there is none: the working directory must not be used instead
 */
export function homeFolder({ HOME }: Readonly<Record<string, string | undefined>>): string | undefined {
  if (HOME !== undefined && isAbsolute(HOME)) return HOME;
  try {
    // Not os.homedir(), which returns HOME even if it is empty.
    const { homedir } = process.getBuiltinModule('node:os').userInfo();
    return isAbsolute(homedir) ? homedir : undefined;
  } catch {
    return undefined; // This user is not in the database, as in a container.
  }
}
