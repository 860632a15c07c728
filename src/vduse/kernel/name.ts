import { VduseError } from '../error.js';
import { VDUSE_NAME_MAX } from './uapi.js';

/** The name is not valid for a VDUSE instance. */
export class DeviceNameError extends VduseError {
  override readonly name = 'DeviceNameError';
}

const CONTROL_CHARACTER = /\p{Cc}/u;
/** A byte that is not UTF-8, as decoded here. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Whether a VDUSE device can have this name. */
export function isDeviceName(name: string): boolean {
  return complaintAbout(name) === undefined;
}

/**
 * Checks a name before it becomes part of a path: of the device's node, of sysfs, of the runtime directory.
 * @returns the name
 * @throws DeviceNameError
 */
export function checkDeviceName(name: string): string {
  const complaint = complaintAbout(name);
  if (complaint !== undefined) throw new DeviceNameError(complaint);
  return name;
}

function complaintAbout(name: string): string | undefined {
  const length = Buffer.byteLength(name);
  if (length === 0) return 'Missing name of the VDUSE device';
  if (length >= VDUSE_NAME_MAX)
    return `Name too long for a VDUSE device: ${length} bytes, at most ${VDUSE_NAME_MAX - 1}`;
  if (name === '.' || name === '..' || name === 'control') {
    return `Invalid name "${name}" for a VDUSE device: /dev/vduse/${name} is reserved`;
  }
  if (name.includes('/') || CONTROL_CHARACTER.test(name) || LONE_SURROGATE.test(name)) {
    return `"${JSON.stringify(name).slice(1, -1)}" contains a character that is not allowed in a file name`;
  }
  return undefined;
}

/** The path of a device's file for its server. @throws DeviceNameError */
export function devicePath(name: string): string {
  return `/dev/vduse/${checkDeviceName(name)}`;
}
