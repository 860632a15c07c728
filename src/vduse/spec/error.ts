import { VduseError } from '../error.js';

/** The options of a device are invalid or conflict. */
export class DeviceOptionError extends VduseError {
  override readonly name = 'DeviceOptionError';
}
