// npm runs this at the end of `npm ci` and `npm install` here, for `npm install -g` of this folder and for `npm pack`, which
// install nothing by themselves: installs the npm packages and builds bin/ and dist/, unless that has been done.
import { ensureModules, ensurePackageBuilt, isWithinEnsureModules, modulesFit, root, say } from './project.mjs';

/** Whether npm has just installed the packages here, and only those that it was told to install. */
const isInstallHere =
  ['ci', 'install'].includes(process.env.npm_command) &&
  process.env.npm_config_global !== 'true' &&
  process.env.npm_config_local_prefix === root;

if (isWithinEnsureModules()) process.exit();
if (isInstallHere && !modulesFit()) {
  say('vdpa: not built, because the packages for building it were omitted; "npm ci" installs and builds everything');
  process.exit();
}
ensureModules();
ensurePackageBuilt();
