/** The EtherType of all frames of checks, one for experiments: IEEE 802. */
export const EXPERIMENTAL = 0x88b5;
