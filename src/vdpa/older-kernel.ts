/** What a kernel lacks that is older than the uAPI header here, in words. docs/kernels.md tells which kernels were tried. */
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

/** Commands that the family did not have from the start, and an old kernel that has them. */
const laterCommands: Readonly<Partial<Record<VdpaCommandNumber, string>>> = {
  [VDPA_CMD_DEV_CONFIG_GET]: 'Showing the configuration of a device is not supported by this kernel: Linux 6.1 has it',
  [VDPA_CMD_DEV_VSTATS_GET]: 'Showing vendor statistics is not supported by this kernel: Linux 6.1 has it',
  [VDPA_CMD_DEV_ATTR_SET]: 'Changing a device is not supported by this kernel: Linux 6.12 has it',
};

/**
 * Why a kernel refuses a request that a newer one takes, as its description of the family tells: it answers EOPNOTSUPP and
 * no words to a command that it does not know (net/netlink/genetlink.c, genl_family_rcv_msg()), and to one for the
 * configuration of a device whose class it does not know (drivers/vdpa/vdpa.c, vdpa_dev_config_fill()).
 * @returns one sentence without its full stop; undefined where it is for another reason
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
