/** The home folder of this user, as os.homedir() finds it; Node's module is only loaded where the environment does not say it. */
export function homeFolder({ HOME }: Readonly<Record<string, string | undefined>>): string {
  return HOME === undefined || HOME === '' ? process.getBuiltinModule('node:os').homedir() : HOME;
}
