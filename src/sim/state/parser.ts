import { check } from '../../generated/sim-state.js';
import { SimulationError } from '../error.js';
import { parseJson } from './json.js';
import { applyChange, splitChanges } from './changes.js';
import { busName, stateVersion } from './model.js';
import type { SimState } from './model.js';
import { formatHandle } from '../../vdpa/model.js';

/**
 * Parses a state file.
 * @param path for errors
 * @throws SimulationError if it is invalid, or of another version
 */
export function parseState(text: string, path: string): SimState {
  const { state: document, changes } = splitChanges(text);
  let value: unknown;
  try {
    value = parseJson(document);
    for (const change of changes) applyChange(value, change);
  } catch (error) {
    throw damaged(path, `invalid JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (isOtherVersion(value)) throw otherVersion(path);
  if (!isState(value)) throw damaged(path, check(value) ?? '');
  const broken = brokenReference(value);
  if (broken !== undefined) throw damaged(path, broken);
  return value;
}

function isState(value: unknown): value is SimState {
  return check(value) === undefined;
}

/** Checks beyond the schema: the management devices and instances of devices exist. */
function brokenReference(state: SimState): string | undefined {
  const drivers = new Map(state.machine.mgmtdev.map((management) => [formatHandle(management), management.driver]));
  const served = new Set(state.vduse.map(({ name }) => busName(name)));
  const names = new Set<string>();
  for (const { name, mgmtdev } of state.devices) {
    const driver = drivers.get(mgmtdev);
    if (driver === undefined) return `device ${name}: unknown management device ${mgmtdev}`;
    if (driver === 'vduse' && !served.has(name)) return `device ${name} has no VDUSE instance`;
    if (names.has(name)) return `duplicate device ${name}`;
    names.add(name);
  }
  return undefined;
}

function isOtherVersion(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'version' in value && value.version !== stateVersion;
}

function damaged(path: string, what: string): SimulationError {
  return new SimulationError(
    `The simulated machine's state file ${path} is damaged: ${what}. It was not changed; "vdpa sim reset" replaces it.`,
  );
}

function otherVersion(path: string): SimulationError {
  return new SimulationError(
    `The simulated machine's state file ${path} was written by another version of vdpa. It was not changed; "vdpa sim reset" replaces it.`,
  );
}
