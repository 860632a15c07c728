/** A device did not do what a driver has to rely on: it did not accept a status or the features, or has no such queue. */
export class DriverError extends Error {
  override readonly name = 'DriverError';
}
