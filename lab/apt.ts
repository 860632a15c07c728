import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LabError, findCommand, isRoot, runProgram } from './host.js';
import { say } from './progress.js';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

export interface Offer {
  readonly name: string;
  readonly version: string;
}

/**
 * One or more suites of Debian's archive, read through a private source list in `folder`: the machine's own lists, cache and
 * settings are not changed, and root is not needed. Signatures are checked with Debian's archive keys.
 */
export class Suite {
  private readonly options: readonly string[];

  private constructor(options: readonly string[]) {
    this.options = options;
  }

  /**
   * @param names the suite, and those from which its packages may need others
   * @throws {LabError} if one cannot be fetched or its signature is invalid
   */
  static async open(names: readonly [string, ...string[]], folder: string): Promise<Suite> {
    for (const part of ['lists/partial', 'cache/archives/partial']) {
      mkdirSync(join(folder, part), { recursive: true });
    }
    const list = join(folder, 'sources.list');
    const signed = existsSync(KEYRING) ? `[signed-by=${KEYRING}] ` : '';
    const lines: string[] = [];
    for (const name of names) lines.push(`deb ${signed}${await mirror(name.endsWith('-security'))} ${name} main\n`);
    writeFileSync(list, lines.join(''));
    const settings = {
      'Dir::Etc::SourceList': list,
      'Dir::Etc::SourceParts': '/dev/null',
      'Dir::Etc::Preferences': '/dev/null',
      'Dir::Etc::PreferencesParts': '/dev/null',
      'Dir::State::Lists': join(folder, 'lists'),
      'Dir::Cache': join(folder, 'cache'),
      'APT::Default-Release': names[0],
      'Acquire::Languages': 'none',
      'Acquire::Retries': '3',
      'APT::Update::Error-Mode': 'any',
      ...(isRoot() ? { 'APT::Sandbox::User': 'root' } : {}),
    };
    const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
    say(`reading the package lists of ${names.join(' and ')}`);
    await runProgram('apt-get', [...options, '-q', 'update'], { label: `apt-get update of ${names.join(' and ')}` });
    return new Suite(options);
  }

  /** The packages whose name starts with `prefix`, in no particular order. */
  async namesFrom(prefix: string): Promise<string[]> {
    const output = await runProgram('apt-cache', [...this.options, 'pkgnames', prefix]);
    return output.split('\n').filter((name) => name !== '');
  }

  /** The package with this name in the suite; undefined if there is none. */
  async offer(name: string): Promise<Offer | undefined> {
    const output = await runProgram('apt-cache', [...this.options, 'madison', name]);
    const version = output.split('\n')[0]?.split('|')[1]?.trim();
    return version === undefined ? undefined : { name, version };
  }

  /** A package and its dependencies that this machine lacks, or has in too old a version. */
  async closure(offer: Offer): Promise<Offer[]> {
    const install = ['--simulate', '--no-install-recommends', 'install', `${offer.name}=${offer.version}`];
    const output = await runProgram('apt-get', [...this.options, '-q', ...install]);
    return [...output.matchAll(/^Inst (\S+) (?:\[[^\]]*\] )?\((\S+) /gm)].map(([, name = '', version = '']) => ({
      name,
      version,
    }));
  }

  /** Downloads and unpacks a package into `folder`, without installing it. */
  async unpack(offer: Offer, folder: string): Promise<void> {
    const packages = mkdtempSync(join(folder, 'package-'));
    const spec = `${offer.name}=${offer.version}`;
    const label = `apt-get download ${spec}`;
    await runProgram('apt-get', [...this.options, '-q', 'download', spec], { cwd: packages, label });
    const [file] = readdirSync(packages);
    if (file === undefined) throw new LabError(`apt-get download ${spec} left no file in ${packages}`);
    await runProgram('dpkg', ['-x', join(packages, file), folder]);
    rmSync(packages, { recursive: true });
  }
}

/** Whether a package of Debian's archive can be fetched and unpacked on this machine. */
export const canUseArchive = (): boolean => ['apt-get', 'apt-cache', 'dpkg'].every((name) => findCommand(name));

/** The mirror that the machine itself uses, so that the lab works even if only that one can be reached. */
async function mirror(security: boolean): Promise<string> {
  const wanted = security ? 'debian-security' : 'debian';
  const hasPendingCommand = new RegExp(`^https?:.*/${wanted}/?$`);
  const find = async (): Promise<string | undefined> => (await sources()).find((uri) => hasPendingCommand.test(uri));
  let own = await find();
  if (own === undefined && isRoot()) {
    // apt knows its sources only after it has read them, which is not the case on a fresh machine.
    await runProgram('apt-get', ['-q', 'update'], { label: 'apt-get update' });
    own = await find();
  }
  if (own === undefined) throw new LabError(`this machine's apt sources name no mirror of ${wanted}`);
  return own;
}

async function sources(): Promise<string[]> {
  const format = ['--format', '$(REPO_URI)', 'Created-By: Packages'];
  return (await runProgram('apt-get', ['indextargets', ...format])).split('\n');
}

/** Compares versions of the form N.M by their numbers. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number)) as [number[], number[]];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
