/** The VDUSE devices of a machine and their servers, be the machine real or simulated. */
import type { ServedDeviceSpec } from '../spec/device-spec.js';
import type { ServiceStatus, StartingStatus } from './socket.js';

/** What a server tells of itself and its device; a simulated one is no process. */
export type InstanceStatus = Omit<ServiceStatus, 'pid'> & Partial<Pick<ServiceStatus, 'pid'>>;

/** A device that a server has made. */
export type VduseInstance =
  /** Served by a server of ours. */
  | { readonly name: string; readonly served: 'here'; readonly status: InstanceStatus }
  /** A supervisor of ours is starting a server, the first one or one that takes the place of another. */
  | { readonly name: string; readonly served: 'starting'; readonly status: StartingStatus; readonly attached: boolean }
  /** Served by a server of ours that does not answer, or that is about to begin. */
  | {
      readonly name: string;
      readonly served: 'silent';
      /** It has not begun to answer; a signal or a debugger has stopped it; it is stuck by itself. */
      readonly state: 'starting' | 'stopped' | 'stuck';
      readonly pid: number;
      readonly attached: boolean;
    }
  /** Served by another program, or by nobody. */
  | { readonly name: string; readonly served: 'elsewhere' | 'nobody'; readonly attached: boolean };

/** What is known of the device of a server of ours. */
export type OwnStatus = InstanceStatus | StartingStatus;

/** What a server of ours serves, or is about to serve; undefined for other instances, and where it does not answer. */
export function ownStatus(instance: VduseInstance | undefined): OwnStatus | undefined {
  return instance?.served === 'here' || instance?.served === 'starting' ? instance.status : undefined;
}

/** How a server is begun. */
export interface ServeOptions {
  /** Make the file of a block device whose size is said, where it is not there; it is removed where anything fails then. */
  readonly makeFile?: boolean;
}

/** The servers of a machine. */
export interface VduseServers {
  /** All instances by name, or the one of that name. @throws VduseError where a server answers with an error */
  list(only?: string): Promise<VduseInstance[]>;

  /** Whether a server, of whatever program, has made an instance of that name; false for a name that none can have. */
  has(name: string): Promise<boolean>;

  /**
   * Starts a server, and attaches its device. Where the attaching fails the server is ended, and with it the instance.
   * @param attach sends the request to the kernel
   * @throws DeviceOptionError; VduseError: InstanceExistsError where another program was quicker to make it; whatever `attach` throws
   */
  add(device: ServedDeviceSpec, attach: () => Promise<void>, options?: ServeOptions): Promise<void>;

  /** Serves a device whose server has died. @throws VduseError */
  takeOver(device: ServedDeviceSpec): Promise<void>;

  /** Ends the server of a device that was deleted, where it is ours. @throws VduseError */
  end(name: string): Promise<void>;

  /**
   * Takes a device away: off the bus, its server, its instance.
   * @param detach asks the kernel to take it off the bus; called where it is there
   * @throws VduseError, also where there is none; SystemError: EBUSY where another program serves it; whatever `detach` throws
   */
  remove(name: string, detach: () => Promise<void>): Promise<void>;
}
