/** The VDUSE devices of a machine and their servers, be the machine real or simulated. */
import type { ServedDevice } from './served-device.js';
import type { ServiceStatus } from './socket.js';

/** What a server tells of itself and its device; a simulated one is no process. */
export type InstanceStatus = Omit<ServiceStatus, 'pid'> & Partial<Pick<ServiceStatus, 'pid'>>;

/** A device that a server has made. */
export type VduseInstance =
  /** Served by a server of ours. */
  | { readonly name: string; readonly served: 'here'; readonly status: InstanceStatus }
  /** Served by another program, or by nobody. */
  | { readonly name: string; readonly served: 'elsewhere' | 'nobody'; readonly attached: boolean };

/** The servers of a machine. */
export interface VduseServers {
  /** All instances by name, or the one of that name. @throws VduseError where a server does not answer */
  list(only?: string): Promise<VduseInstance[]>;

  /**
   * Starts a server, and attaches its device. Where the attaching fails the server is ended, and with it the instance.
   * @param attach sends the request to the kernel
   * @throws VduseError; whatever `attach` throws
   */
  add(device: ServedDevice, attach: () => Promise<void>): Promise<void>;

  /** Serves a device whose server has died. @throws VduseError */
  takeOver(device: ServedDevice): Promise<void>;

  /** Ends the server of a device that was deleted, where it is ours. @throws VduseError */
  end(name: string): Promise<void>;

  /**
   * Takes a device away: off the bus, its server, its instance.
   * @param detach asks the kernel to take it off the bus; called where it is there
   * @throws VduseError, also where there is none; SystemError: EBUSY where another program serves it; whatever `detach` throws
   */
  remove(name: string, detach: () => Promise<void>): Promise<void>;
}
