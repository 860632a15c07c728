/** A device cannot have the load that was asked for. */
export class LoadError extends Error {
  override readonly name = 'LoadError';
}
