/** A URI does not name an NBD export. The message never contains a password. */
export class NbdUriError extends Error {
  override readonly name = 'NbdUriError';
}

/** A server has sent something that the NBD protocol does not permit. */
export class NbdProtocolError extends Error {
  override readonly name = 'NbdProtocolError';
}

/** A server has refused what it was asked for, such as an export that it does not have. */
export class NbdRefusedError extends Error {
  override readonly name = 'NbdRefusedError';
}
