/** Put in by the build from package.json. */
declare const VDPA_VERSION: string;

/** What `vdpa -V` says. */
export const versionLine = `vdpa utility, vdpa-${VDPA_VERSION}`;
