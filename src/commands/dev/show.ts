import { VdpaCommand } from '../../cli/command.js';
import { expectNoMore, parseOperand, type Keywords } from '../../cli/grammar.js';
import { machineBus } from '../../cli/machine.js';
import type { Session } from '../../cli/session.js';
import { renderDetailed } from '../../cli/show-detailed.js';
import { readHandle, readName } from '../../cli/values.js';
import { renderDevice } from '../../render/device.js';
import type { VdpaClient } from '../../vdpa/client.js';
import type { VdpaDevice } from '../../vdpa/model.js';

const deviceQueries = {
  driver: { placeholder: 'DRIVER', read: readName, completes: ['vhost', 'virtio'] },
  netdev: { placeholder: 'NETDEV', read: readName },
  block: { placeholder: 'DISK', read: readName },
  vhost: { placeholder: 'NODE', read: readName },
  mgmtdev: { placeholder: 'MANAGEMENTDEV', read: readHandle, completes: 'management device' },
} as const satisfies Keywords;

export default class DevShow extends VdpaCommand {
  static override summary = 'show vDPA devices';
  static override tables = true;
  static override usage = [
    'vdpa dev show [ DEV ]',
    'vdpa dev show { driver DRIVER | netdev NETDEV | block DISK | vhost NODE | mgmtdev MANAGEMENTDEV }',
  ];
  static override operand = 'device' as const;
  static override alternatives = deviceQueries;

  async execute(session: Session, args: readonly string[]): Promise<void> {
    // Two arguments are a query: a single argument is always a device name, even "driver".
    const [first, second, ...rest] = args;
    if (second !== undefined && first !== undefined && isDeviceQuery(first)) {
      expectNoMore(rest);
      await lookUp(session, first, second);
      return;
    }
    const name = parseOperand(readName, args);
    if (session.options.details) {
      const bus = await machineBus(session);
      await session.show('dev', async (client, printer) => {
        const devices = name === undefined ? await client.devices() : [await client.device(name)];
        await renderDetailed(printer, devices, bus);
      });
      return;
    }
    await session.show('dev', (client, printer, restart) =>
      client.eachDevice(
        name,
        (item) => {
          renderDevice(printer, item);
        },
        { onRestart: restart },
      ),
    );
  }
}

type DeviceQueryKey = keyof typeof deviceQueries;

function isDeviceQuery(keyword: string): keyword is DeviceQueryKey {
  return Object.hasOwn(deviceQueries, keyword);
}

/** Shows the devices that match a query. */
async function lookUp(session: Session, by: DeviceQueryKey, value: string): Promise<void> {
  const wants = await selector(session, by, value);
  const bus = session.options.details ? await machineBus(session) : undefined;
  await session.show('dev', async (client, printer) => {
    const devices = (await client.devices()).filter(await wants(client));
    if (bus) await renderDetailed(printer, devices, bus);
    else for (const device of devices) renderDevice(printer, device);
  });
}

/** Parses the query. Errors that do not need the kernel are reported immediately. */
async function selector(
  session: Session,
  by: DeviceQueryKey,
  value: string,
): Promise<(client: VdpaClient) => Promise<(device: VdpaDevice) => boolean>> {
  if (by === 'mgmtdev') {
    const handle = readHandle(value);
    return async (client) => {
      await client.managementDevice(handle); // The kernel reports it if there is none.
      return (device) => device.managementDevice === handle;
    };
  }
  const bus = await machineBus(session);
  const { findDevices } = await import('../../sysfs/find-devices.js');
  const names = new Set(findDevices(bus, { by, value }).map(({ name }) => name));
  return () => Promise.resolve((device) => names.has(device.name));
}
