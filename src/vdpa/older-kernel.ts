/**
 * Describes what kernels older than this uAPI header do not support. docs/kernels.md lists the kernels that were
 * tested.
 */
import type { GenlFamily } from '../netlink/genl-family.js';
import type { NetlinkError } from '../netlink/error.js';
import { Errno } from '../sys/errno.js';
import {
  VDPA_ATTR_DEV_BLK_FLUSH,
  VDPA_CMD_DEV_ATTR_SET,
  VDPA_CMD_DEV_CONFIG_GET,
  VDPA_CMD_DEV_VSTATS_GET,
  type VdpaCommandNumber,
} from './uapi.js';

/** Commands added to the family later, and an old kernel that supports them. */
const laterCommands: Readonly<Partial<Record<VdpaCommandNumber, string>>> = {
  [VDPA_CMD_DEV_CONFIG_GET]: 'Showing the configuration of a device is not supported by this kernel: Linux 6.1 has it',
  [VDPA_CMD_DEV_VSTATS_GET]: 'Showing vendor statistics is not supported by this kernel: Linux 6.1 has it',
  [VDPA_CMD_DEV_ATTR_SET]: 'Changing a device is not supported by this kernel: Linux 6.12 has it',
};

/**
 * Explains why a kernel rejects a request that a newer one accepts, from its description of the family. The kernel
 * answers EOPNOTSUPP without a message to a command that it does not know (net/netlink/genetlink.c,
 * genl_family_rcv_msg()), and to a request for the configuration of a device whose class it does not know
 * (drivers/vdpa/vdpa.c, vdpa_dev_config_fill()).
 * @returns one sentence without its full stop; undefined if the reason is another one
 */
export function explainOlderKernel(
  error: NetlinkError,
  command: VdpaCommandNumber,
  { operations, maxAttribute }: GenlFamily,
): string | undefined {
  if (error.errno !== Errno.EOPNOTSUPP || error.kernelMessage !== undefined || operations.length === 0)
    return undefined;
  if (!operations.some((operation) => operation.command === command)) return laterCommands[command];
  if (command === VDPA_CMD_DEV_CONFIG_GET && maxAttribute < VDPA_ATTR_DEV_BLK_FLUSH) {
    return 'This kernel shows the configuration of network devices only: Linux 6.12 shows that of block devices too';
  }
  return undefined;
}
