/** A device is not one that has a peer. */
export class PeerError extends Error {
  override readonly name = 'PeerError';
}

/** The device no longer opens: it has stopped while a check ran, or was removed. */
export class DeviceStopped extends Error {
  override readonly name = 'DeviceStopped';
}
