/** A device that a server program of ours serves, as it is asked for on the command line. */
export type ServedDevice = BlockServed | NetServed;

interface Served {
  readonly name: string;
  /** How many queues; of a network device how many pairs. */
  readonly queues?: number;
  readonly queueSize?: number;
  /** Who its server becomes, once the device is open. */
  readonly user?: string;
  /** Another server takes the place of one that ends by itself. */
  readonly restart?: boolean;
}

export interface BlockServed extends Served {
  readonly type: 'block';
  /** A file where there is a path, memory otherwise. */
  readonly backend?: 'ram' | 'file' | 'null';
  readonly path?: string;
  /** Bytes. */
  readonly size?: number;
  readonly blockSize?: 512 | 4096;
  readonly readonly?: boolean;
  readonly serial?: string;
}

export interface NetServed extends Served {
  readonly type: 'net';
  /** A tap where it has a name, loopback otherwise. */
  readonly backend?: 'loopback' | 'tap';
  readonly ifname?: string;
  readonly mac?: Uint8Array;
  readonly mtu?: number;
}
