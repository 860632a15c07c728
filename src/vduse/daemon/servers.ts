/** VDUSE devices and their servers, on a real or simulated machine. */
import type { ServedDeviceSpec } from '../spec/device-spec.js';
import type { ServiceStatus, StartingStatus } from './socket.js';

/** The status of a server and its device; a simulated one has no process. */
export type InstanceStatus = Omit<ServiceStatus, 'pid'> & Partial<Pick<ServiceStatus, 'pid'>>;

/** An instance: a device that a server has created. */
export type VduseInstance =
  /** Served by a server of vdpa. */
  | { readonly name: string; readonly server: 'vdpa'; readonly status: InstanceStatus }
  /** A supervisor of vdpa is starting a server, the first one or a replacement. */
  | { readonly name: string; readonly server: 'starting'; readonly status: StartingStatus; readonly attached: boolean }
  /** Served by a server of vdpa that does not respond, or that is about to start. */
  | {
      readonly name: string;
      readonly server: 'unresponsive';
      /** It is starting; it was stopped by a signal or a debugger; or it is blocked. */
      readonly state: 'starting' | 'stopped' | 'stuck';
      readonly pid: number;
      readonly attached: boolean;
    }
  /** Served by another program, or not served. */
  | { readonly name: string; readonly server: 'other' | 'none'; readonly attached: boolean };

/** The known properties of a device of a server of vdpa. */
export type OwnStatus = InstanceStatus | StartingStatus;

/** What a server of vdpa serves, or is about to serve; undefined for other instances, and if it does not respond. */
export function ownStatus(instance: VduseInstance | undefined): OwnStatus | undefined {
  return instance?.server === 'vdpa' || instance?.server === 'starting' ? instance.status : undefined;
}

/** Options for starting a server. */
export interface StartServerOptions {
  /**
   * Create the file of a block device if its size is given and it does not exist; it is removed if anything fails
   * afterwards.
   */
  readonly makeFile?: boolean;
}

/** The servers of a machine. */
export interface VduseServers {
  /** All instances by name, or the one of that name. @throws VduseError if a server answers with an error */
  list(only?: string): Promise<VduseInstance[]>;

  /** Whether a server of any program has created an instance of that name; false for invalid names. */
  has(name: string): Promise<boolean>;

  /**
   * Starts a server and attaches its device. If attaching fails, the server and its instance are removed.
   * @param attach sends the request to the kernel
   * @throws DeviceOptionError; VduseError: InstanceExistsError if another program created it first; errors of `attach`
   */
  add(device: ServedDeviceSpec, attach: () => Promise<void>, options?: StartServerOptions): Promise<void>;

  /** Takes over a device whose server has died. @throws VduseError */
  takeOver(device: ServedDeviceSpec): Promise<void>;

  /**
   * Waits up to ten seconds while a server of vdpa is about to replace one that has died.
   * @throws DeviceNameError; the reason of the signal
   */
  awaitReplacement(name: string, signal?: AbortSignal): Promise<void>;

  /** Stops the server of a deleted device if it is one of vdpa. @throws VduseError */
  end(name: string): Promise<void>;

  /**
   * Removes a device: takes it off the bus, stops its server and destroys its instance.
   * @param detach sends the request to take it off the bus; called if it is on the bus
   * @throws VduseError, also if there is none; SystemError: EBUSY if another program serves it; errors of `detach`
   */
  remove(name: string, detach: () => Promise<void>): Promise<void>;
}
