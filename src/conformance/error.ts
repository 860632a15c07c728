/** A device is not one that has a peer. */
export class PeerError extends Error {
  override readonly name = 'PeerError';
}
