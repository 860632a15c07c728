// What a release changes in files, as functions from text to text.

/** The clone cannot be released. */
export class ReleaseError extends Error {
  name = 'ReleaseError';
}

const UNRELEASED = /^## Unreleased\n/m;

/**
 * Makes the unreleased section of a changelog the section of a version, with an empty unreleased section above it.
 * @throws ReleaseError if there is none, it is empty, or the version has a section already
 */
export function releaseSection(changelog, version, date) {
  if (changelog.includes(`\n## ${version} `)) throw new ReleaseError(`CHANGELOG.md has a section ${version} already`);
  const start = changelog.search(UNRELEASED);
  if (start === -1) throw new ReleaseError('CHANGELOG.md has no section "## Unreleased"');
  const [, ...rest] = changelog.slice(start).split(/^## /m);
  if (!/^[-|]/m.test(rest[0] ?? '')) throw new ReleaseError('The section "Unreleased" of CHANGELOG.md is empty');
  const day = date.toISOString().slice(0, 10);
  return changelog.replace(UNRELEASED, `## Unreleased\n\n## ${version} - ${day}\n`);
}

/** The files that contain the version, besides the changelog. */
export const mentions = ['package.json', 'package-lock.json', 'README.md', 'docs/iproute2.md'];

/** How these files contain the version. */
const mention = (path, version) => (path.endsWith('.json') ? `"version": "${version}"` : `vdpa-${version}`);

/** The text of a file with the new version in place of the old one. @throws ReleaseError if the old one is not there */
export function setVersion(path, text, was, version) {
  const mark = mention(path, was);
  if (!text.includes(mark)) throw new ReleaseError(`${path} does not contain ${mark}`);
  if (path === 'package-lock.json') {
    const lock = JSON.parse(text);
    lock.version = version;
    lock.packages[''].version = version;
    return `${JSON.stringify(lock, undefined, 2)}\n`;
  }
  return text.replace(mark, mention(path, version));
}

/**
 * The notes of a version: its section without the heading, or the unreleased one before the release.
 * @throws ReleaseError if there is none
 */
export function notesOf(changelog, version) {
  const [, ...sections] = changelog.split(/^## /m);
  const section =
    sections.find((text) => text.startsWith(`${version} `)) ?? sections.find((text) => text.startsWith('Unreleased\n'));
  if (section === undefined)
    throw new ReleaseError(`CHANGELOG.md has neither a section ${version} nor an unreleased one`);
  return `# vdpa ${version}\n\n${section.slice(section.indexOf('\n')).trim()}\n`;
}
