/** What can go wrong on the simulated machine, as it is described. */
import type { ErrnoName } from '../../sys/errno.js';
import * as uapi from '../../vdpa/uapi.js';

/** The commands that a fault can meet, in the tool's words. */
export const faultCommands = {
  'mgmtdev show': uapi.VDPA_CMD_MGMTDEV_GET,
  'dev show': uapi.VDPA_CMD_DEV_GET,
  'dev add': uapi.VDPA_CMD_DEV_NEW,
  'dev del': uapi.VDPA_CMD_DEV_DEL,
  'dev set': uapi.VDPA_CMD_DEV_ATTR_SET,
  'dev config show': uapi.VDPA_CMD_DEV_CONFIG_GET,
  'dev vstats show': uapi.VDPA_CMD_DEV_VSTATS_GET,
} as const satisfies Record<string, uapi.VdpaCommandNumber>;

export type FaultCommand = keyof typeof faultCommands;

/** One fault: when it is met, and what happens then. */
export interface Fault {
  readonly command: FaultCommand;
  /** Only for this device; in a list, when its turn comes. */
  readonly device?: string;
  /** Only for this management device, `bus/name` or `name`. */
  readonly mgmtdev?: string;
  /** Lets so many requests pass first. */
  readonly skip?: number;
  /** Happens so many times, then never again. */
  readonly times?: number;
  /** The kernel takes so long to answer, in milliseconds. */
  readonly delay?: number;
  /** The kernel refuses with this error, and with these words. */
  readonly errno?: ErrnoName;
  readonly message?: string;
  /** In a list, the error comes after so many entries. */
  readonly after?: number;
  /** The device goes away: in a list, right after it was listed. */
  readonly vanish?: boolean;
}
