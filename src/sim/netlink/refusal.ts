/** An error inside the simulated kernel: becomes an NLMSG_ERROR, or the end of a dump, with this errno. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  /** The error number, positive. */
  readonly errno: number;

  constructor(errno: number) {
    super(`errno ${errno}`);
    this.errno = errno;
  }
}
