import { VdpaCommand } from '../../../cli/command.js';
import { parseOperand } from '../../../cli/grammar.js';
import type { Session } from '../../../cli/session.js';
import { readName } from '../../../cli/values.js';
import { NetlinkError } from '../../../netlink/error.js';
import { renderDeviceStats } from '../../../render/stats.js';
import { VIRTIO_ID_NET } from '../../../virtio/ids.js';

export default class DevStatsShow extends VdpaCommand {
  static override summary = 'show the vendor statistics of every virtqueue of a vdpa device, or of all';
  static override usage = ['vdpa dev stats show [ DEV ]'];
  static override operand = 'device' as const;

  async execute(session: Session, words: readonly string[]): Promise<void> {
    const name = parseOperand(readName, words);
    await session.show('stats', async (client, printer) => {
      if (name !== undefined) {
        renderDeviceStats(printer, name, await client.deviceStats(await client.device(name)));
        return;
      }
      for (const device of await client.devices()) {
        // The kernel asks network devices only.
        if (device.deviceId !== VIRTIO_ID_NET) continue;
        try {
          renderDeviceStats(printer, device.name, await client.deviceStats(device));
        } catch (error) {
          if (!(error instanceof NetlinkError && tellsNothing.has(error.code))) throw error;
        }
      }
    });
  }
}

/**
 * Why one device among all has no statistics to show: its driver keeps none, no virtio driver has taken it yet, or it has
 * gone since the list was made.
 */
const tellsNothing: ReadonlySet<string> = new Set(['EOPNOTSUPP', 'EAGAIN', 'ENODEV']);
