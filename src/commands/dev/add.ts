import { resolve } from 'node:path';
import { VdpaCommand } from '../../cli/command.js';
import { UsageError } from '../../cli/error.js';
import { parseKeywords, type Keywords, type Values } from '../../cli/grammar.js';
import { machineBus } from '../../cli/machine.js';
import { readServedDevice, serverKeywords, serverWord } from '../../cli/served-device.js';
import type { Session } from '../../cli/session.js';
import {
  deviceTypeId,
  deviceTypeNames,
  featureWord,
  readDeviceType,
  readFeatures,
  readHandle,
  readMac,
  readName,
  readNumber,
} from '../../cli/values.js';
import { className, deviceClasses } from '../../virtio/classes.js';
import type { VdpaClient } from '../../vdpa/client.js';
import { withoutServersWords, type DeviceSpec } from '../../vdpa/encode.js';
import { formatHandle, type ManagementDeviceHandle } from '../../vdpa/model.js';

const keywords = {
  // The order is iproute2's: of two keywords that a word may stand for, and of two that are missing, it takes the first.
  mgmtdev: {
    placeholder: 'MANAGEMENTDEV',
    read: readHandle,
    abbreviable: true,
    missing: 'management device handle not set.',
    completes: 'management device',
  },
  name: { placeholder: 'NAME', read: readName, abbreviable: true, missing: 'device name is not set.' },
  mac: { placeholder: 'MACADDR', read: readMac },
  mtu: { placeholder: 'MTU', read: readNumber('mtu', 0, 0xffff) },
  max_vqp: { placeholder: 'MAX_VQ_PAIRS', read: readNumber('max_vqp', 0, 0xffff), abbreviable: true },
  device_features: { placeholder: 'DEVICE_FEATURES', read: readFeatures },
  type: { placeholder: 'TYPE', read: readDeviceType, completes: deviceTypeNames },
  driver: { placeholder: 'DRIVER', read: readName, completes: ['vhost', 'virtio'] },
  ...serverKeywords,
} as const satisfies Keywords;

export default class DevAdd extends VdpaCommand {
  static override summary = 'add a vdpa device';
  static override usage = [
    'vdpa dev add name NAME mgmtdev MANAGEMENTDEV [ type { net | block } ]',
    '                                             [ device_features DEVICE_FEATURES ]',
    '                                             [ mac MACADDR ] [ mtu MTU ]',
    '                                             [ max_vqp MAX_VQ_PAIRS ]',
    '                                             [ driver { vhost | virtio | NAME } ]',
    'vdpa dev add name NAME mgmtdev vduse [ type { net | block } ] [ queues N ] [ queue_size N ]',
    '                                     [ backend { ram | file | null } ] [ path FILE ] [ size SIZE ]',
    '                                     [ block_size { 512 | 4096 } ] [ readonly ] [ serial STRING ]',
    '                                     [ backend { loopback | tap } ] [ ifname TAP ]',
    '                                     [ mac MACADDR ] [ mtu MTU ]',
    '                                     [ user USER ] [ restart { on | off } ]',
    '                                     [ driver { vhost | virtio | NAME } ]',
  ];
  static override keywords = keywords;

  async execute(session: Session, words: readonly string[]): Promise<void> {
    const values = parseKeywords(keywords, words);
    const { mgmtdev, type, device_features: features, driver } = values;
    const isVduse = formatHandle(mgmtdev) === 'vduse';
    const word = serverWord(values);
    if (word !== undefined && !isVduse) throw new UsageError(`"${word}" is for devices of mgmtdev vduse`);
    const client = await session.client();
    let deviceId: number | undefined;
    if (type !== undefined || (features && 'names' in features)) {
      const { supportedClasses = 0n } = await client.managementDevice(mgmtdev);
      deviceId = chooseClass(mgmtdev, deviceClasses(supportedClasses), type && deviceTypeId(type));
    }
    const spec: DeviceSpec = {
      name: values.name,
      managementDevice: mgmtdev,
      ...(values.mac && { mac: values.mac }),
      ...(values.mtu !== undefined && { mtu: values.mtu }),
      ...(values.max_vqp !== undefined && { maxVirtqueuePairs: values.max_vqp }),
      ...(features && { features: featureWord(features, deviceId) }),
    };
    if (isVduse) {
      await addVduse(session, client, spec, values);
    } else {
      await add(session, client, spec, driver);
    }
  }
}

/** Makes a device, and gives it to a driver where one is named. */
async function add(session: Session, client: VdpaClient, spec: DeviceSpec, driver: string | undefined): Promise<void> {
  if (driver === undefined) {
    await client.addDevice(spec);
    return;
  }
  const { addBoundDevice } = await import('../../host/add-device.js');
  await addBoundDevice(client, await machineBus(session), spec, driver);
}

/** Makes a device of VDUSE: of the instance of that name where there is one, otherwise with a server of ours behind it. */
async function addVduse(
  session: Session,
  client: VdpaClient,
  spec: DeviceSpec,
  values: Values<typeof keywords>,
): Promise<void> {
  const { name, path, driver } = values;
  // The server runs in another folder.
  const words = path === undefined ? values : { ...values, path: resolve(path) };
  if (session.options.sim) {
    const { attachSimulatedServer } = await import('../../sim/served-device.js');
    const device = readServedDevice(name, words);
    await attachSimulatedServer(session.io.env, device, (isNew) =>
      client.addDevice(isNew ? withoutServersWords(spec) : spec),
    );
    return;
  }
  const { addServedDevice, instanceExists } = await import('../../vduse/service/add-device.js');
  if (instanceExists(name)) {
    const word = serverWord(values);
    if (word !== undefined) {
      throw new UsageError(`${name} has a server already, which decides what the device is: "${word}" is of no use`);
    }
    const { refuseUnserved } = await import('../../sysfs/instance-server.js');
    refuseUnserved((await machineBus(session)).files, name, `add ${name}`);
    await add(session, client, spec, driver);
    return;
  }
  const device = readServedDevice(name, words);
  const attachment = withoutServersWords(spec);
  await addServedDevice(device, () => add(session, client, attachment, driver));
}

/** Which class the device will be of: the one asked for, or the only one there is. @throws UsageError where it cannot be */
function chooseClass(
  handle: ManagementDeviceHandle,
  classes: readonly number[],
  wanted: number | undefined,
): number | undefined {
  if (wanted === undefined) return classes.length === 1 ? classes[0] : undefined;
  if (classes.includes(wanted)) return wanted;
  const made = classes.map((id) => className(id) ?? `class ${id}`).join(', ');
  throw new UsageError(`${formatHandle(handle)} makes no ${className(wanted) ?? ''} devices, only: ${made || 'none'}`);
}
