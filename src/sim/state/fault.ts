/** Faults that can be injected into the simulated machine. */
import type { ErrnoName } from '../../sys/errno.js';
import * as uapi from '../../vdpa/uapi.js';

/** A command that a fault can affect. */
export type FaultCommand =
  'mgmtdev show' | 'dev show' | 'dev add' | 'dev del' | 'dev set' | 'dev config show' | 'dev vstats show';

/** What each of them sends to the kernel. */
export const faultCommands = {
  'mgmtdev show': uapi.VDPA_CMD_MGMTDEV_GET,
  'dev show': uapi.VDPA_CMD_DEV_GET,
  'dev add': uapi.VDPA_CMD_DEV_NEW,
  'dev del': uapi.VDPA_CMD_DEV_DEL,
  'dev set': uapi.VDPA_CMD_DEV_ATTR_SET,
  'dev config show': uapi.VDPA_CMD_DEV_CONFIG_GET,
  'dev vstats show': uapi.VDPA_CMD_DEV_VSTATS_GET,
} as const satisfies Record<FaultCommand, uapi.VdpaCommandNumber>;

/** One fault: its condition and its effect. */
export interface Fault {
  readonly command: FaultCommand;
  /** Only for this device; in a list, at its entry. */
  readonly device?: string;
  /** Only for this management device, `bus/name` or `name`. */
  readonly mgmtdev?: string;
  /** Number of requests that succeed first. */
  readonly skip?: number;
  /** Number of times that it occurs. */
  readonly times?: number;
  /** Delay of the answer, in milliseconds. */
  readonly delay?: number;
  /** The error and the message of the kernel. */
  readonly errno?: ErrnoName;
  readonly message?: string;
  /** In a list, the number of entries before the error. */
  readonly after?: number;
  /** The device disappears: in a list, right after its entry. */
  readonly vanish?: boolean;
}
