/** A device cannot be made as it was asked for. */
export class DeviceOptionError extends Error {
  override readonly name = 'DeviceOptionError';
}
