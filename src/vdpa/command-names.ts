/** Names of the family's commands, as `enum vdpa_command` of include/uapi/linux/vdpa.h spells them without its prefix. */
import {
  VDPA_CMD_DEV_ATTR_SET,
  VDPA_CMD_DEV_CONFIG_GET,
  VDPA_CMD_DEV_DEL,
  VDPA_CMD_DEV_GET,
  VDPA_CMD_DEV_NEW,
  VDPA_CMD_DEV_VSTATS_GET,
  VDPA_CMD_MGMTDEV_GET,
  VDPA_CMD_MGMTDEV_NEW,
} from './uapi.js';

const names: Readonly<Partial<Record<number, string>>> = {
  [VDPA_CMD_MGMTDEV_NEW]: 'MGMTDEV_NEW',
  [VDPA_CMD_MGMTDEV_GET]: 'MGMTDEV_GET',
  [VDPA_CMD_DEV_NEW]: 'DEV_NEW',
  [VDPA_CMD_DEV_DEL]: 'DEV_DEL',
  [VDPA_CMD_DEV_GET]: 'DEV_GET',
  [VDPA_CMD_DEV_CONFIG_GET]: 'DEV_CONFIG_GET',
  [VDPA_CMD_DEV_VSTATS_GET]: 'DEV_VSTATS_GET',
  [VDPA_CMD_DEV_ATTR_SET]: 'DEV_ATTR_SET',
};

/** The name of a command: `DEV_NEW`; `CMD_9` for one that is newer than this program. */
export function vdpaCommandName(command: number): string {
  return names[command] ?? `CMD_${command}`;
}
