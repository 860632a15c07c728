import { resolve } from 'node:path';
import { VdpaCommand } from '../../cli/command.js';
import { UsageError } from '../../cli/error.js';
import { parseKeywords, type Keywords, type Values } from '../../cli/grammar.js';
import { machineBus, vduseServers } from '../../cli/machine.js';
import { isSet } from '../../cli/options.js';
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
  type DeviceType,
} from '../../cli/values.js';
import { InstanceExistsError } from '../../vduse/error.js';
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
  serve: { read: () => true as const },
  wait: { placeholder: 'SECONDS', read: readNumber('wait', 0, 86_400) },
  ...serverKeywords,
} as const satisfies Keywords;

type AddValues = Values<typeof keywords>;

export default class DevAdd extends VdpaCommand {
  static override summary = 'add a vdpa device';
  static override usage = [
    'vdpa dev add name NAME mgmtdev MANAGEMENTDEV [ type { net | block } ]',
    '                                             [ device_features DEVICE_FEATURES ]',
    '                                             [ mac MACADDR ] [ mtu MTU ]',
    '                                             [ max_vqp MAX_VQ_PAIRS ]',
    '                                             [ driver { vhost | virtio | NAME } ]',
    'vdpa dev add name NAME mgmtdev vduse [ type { net | block } ] [ wait SECONDS ]',
    '                                     [ driver { vhost | virtio | NAME } ]',
    'vdpa dev add name NAME mgmtdev vduse [ type { net | block } ] [ serve ] [ queues N ] [ queue_size N ]',
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
    if (!isVduse) refuseVduseWords(values);
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

/** Refuses words that other management devices do not know. @throws UsageError */
function refuseVduseWords(values: AddValues): void {
  const word = wordForServer(values) ?? (values.wait === undefined ? undefined : 'wait');
  if (word !== undefined) throw new UsageError(`"${word}" is for devices of mgmtdev vduse`);
}

/** The first word that asks for a server of the tool's own, where there is one. */
function wordForServer(values: AddValues): string | undefined {
  return serverWord(values) ?? (values.serve && 'serve');
}

/** Makes a device of VDUSE: of the instance that another program serves; with a server of the tool's own where one is asked for. */
async function addVduse(session: Session, client: VdpaClient, spec: DeviceSpec, values: AddValues): Promise<void> {
  const { name, type, driver, path, wait } = values;
  const asked = wordForServer(values);
  if (asked !== undefined && wait !== undefined) {
    throw new UsageError(`"wait" is for another program's server, and "${asked}" asks for one of vdpa's own`);
  }
  const servers = await vduseServers(session);
  const isAskedFor = asked !== undefined || (wait === undefined && isSet(session.io.env['VDPA_VDUSE_SERVE']));
  if (isAskedFor) {
    // The server runs in another folder.
    const device = readServedDevice(name, path === undefined ? values : { ...values, path: resolve(path) });
    if (!(await servers.has(name))) {
      try {
        await servers.add(device, () => add(session, client, withoutServersWords(spec), driver));
        return;
      } catch (error) {
        // Another program may have been quicker, as if it had been there before.
        if (!(error instanceof InstanceExistsError)) throw error;
      }
    }
    const word = serverWord(values);
    if (word !== undefined) {
      throw new UsageError(`${name} has a server already, which decides what the device is: "${word}" is of no use`);
    }
  }
  const serveCommand = `vdpa dev add mgmtdev vduse name ${name} ${type === 'net' ? 'type net serve' : 'size 64M'}`;
  const refuse = session.options.sim ? undefined : await refusalOf(session, name);
  const { attachVduseDevice } = await import('../../host/attach-vduse.js');
  const options = { waitMs: (wait ?? 0) * 1000, serveCommand, ...(refuse && { refuse }) };
  await attachVduseDevice(servers, name, options, async () => {
    await add(session, client, spec, driver);
    if (type !== undefined) await checkType(client, name, type);
  });
}

/** What refuses an instance whose server is gone. */
async function refusalOf(session: Session, name: string): Promise<() => void> {
  const { files } = await machineBus(session);
  const { refuseUnserved } = await import('../../sysfs/instance-server.js');
  return () => {
    refuseUnserved(files, name, `add ${name}`);
  };
}

/** Sees that a device is what it was said to be: its server alone decides that. @throws UsageError; it is deleted again then */
async function checkType(client: VdpaClient, name: string, type: DeviceType): Promise<void> {
  const { deviceId } = await client.device(name);
  if (deviceId === deviceTypeId(type)) return;
  await client.deleteDevice(name);
  throw new UsageError(
    `${name} is not of type ${type}: its server offers ${className(deviceId) ?? `class ${deviceId}`}`,
  );
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
