import { VduseError } from '../error.js';

/** A device cannot be made as it was asked for. */
export class DeviceOptionError extends VduseError {
  override readonly name = 'DeviceOptionError';
}
