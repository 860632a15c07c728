import { resolve } from 'node:path';
import { VdpaCommand } from '../../cli/command.js';
import { UsageError } from '../../cli/error.js';
import { parseKeywords, type Keywords, type Values } from '../../cli/grammar.js';
import { wrapUsage } from '../../cli/help.js';
import { machineBus, vduseServers } from '../../cli/machine.js';
import { isSet } from '../../cli/options.js';
import { nodeKeywords, nodeUsage, readNodeAccess } from '../../cli/node-access.js';
import { readDeviceSpec, servedUsage, serverKeyword, serverKeywords } from '../../cli/device-keywords.js';
import type { Session } from '../../cli/session.js';
import { renderDetailed } from '../../cli/show-detailed.js';
import {
  nameKeyword,
  resolveFeatures,
  readDeviceType,
  readFeatures,
  readHandle,
  readMac,
  readName,
  readNumber,
} from '../../cli/values.js';
import type { VdpaBus } from '../../sysfs/bus.js';
import type { NodeAccess } from '../../sysfs/node-access.js';
import type { VduseServers } from '../../vduse/daemon/servers.js';
import { InstanceExistsError } from '../../vduse/error.js';
import type { ServedDeviceSpec } from '../../vduse/spec/device-spec.js';
import { describeClass, deviceClasses, deviceTypeId, deviceTypeNames, type DeviceType } from '../../virtio/classes.js';
import type { VdpaClient } from '../../vdpa/client.js';
import type { DeviceSpec } from '../../vdpa/encode.js';

const keywords = {
  // In iproute2's order: of two keywords with the same abbreviation, and of two that are missing, the first one counts.
  mgmtdev: {
    placeholder: 'MANAGEMENTDEV',
    read: readHandle,
    abbreviable: true,
    missing: 'management device handle not set.',
    completes: 'management device',
    help: 'Management device',
  },
  name: { ...nameKeyword, help: 'Name of the device' },
  mac: { placeholder: 'MACADDR', read: readMac, help: 'MAC address' },
  mtu: { placeholder: 'MTU', read: readNumber('mtu', 0, 0xffff), help: 'MTU' },
  max_vqp: {
    placeholder: 'MAX_VQ_PAIRS',
    read: readPairs,
    abbreviable: true,
    help: 'Maximum number of queue pairs; max is what the management device offers',
  },
  device_features: {
    placeholder: 'DEVICE_FEATURES',
    read: readFeatures,
    help: 'Features to offer: comma-separated names, or a hexadecimal number',
  },
  type: { placeholder: 'TYPE', read: readDeviceType, completes: deviceTypeNames, help: 'Device type: net or block' },
  driver: {
    placeholder: 'DRIVER',
    read: readName,
    completes: ['vhost', 'virtio'],
    help: 'Driver to bind to: vhost, virtio or the name of another driver',
  },
  ...nodeKeywords,
  serve: { read: () => true as const, help: 'Start a server for a VDUSE device' },
  wait: {
    placeholder: 'SECONDS',
    read: readNumber('wait', 0, 86_400),
    help: 'Seconds to wait for another program to serve a VDUSE device',
  },
  ...serverKeywords,
} as const satisfies Keywords;

type AddValues = Values<typeof keywords>;

export default class DevAdd extends VdpaCommand {
  static override summary = 'add a vDPA device';
  static override usage = [
    'vdpa dev add name NAME mgmtdev MANAGEMENTDEV [ type { net | block } ]',
    '                                             [ device_features DEVICE_FEATURES ]',
    '                                             [ mac MACADDR ] [ mtu MTU ]',
    '                                             [ max_vqp { MAX_VQ_PAIRS | max } ]',
    '                                             [ driver { vhost | virtio | NAME } ]',
    `                                             ${nodeUsage}`,
    'vdpa dev add name NAME mgmtdev vduse [ type { net | block } ] [ wait SECONDS ]',
    '                                     [ driver { vhost | virtio | NAME } ]',
    `                                     ${nodeUsage}`,
    ...wrapUsage('vdpa dev add name NAME mgmtdev vduse', [
      '[ type { net | block } ]',
      '[ serve ]',
      ...servedUsage(),
      '[ driver { vhost | virtio | NAME } ]',
      nodeUsage,
    ]),
  ];
  static override keywords = keywords;

  async execute(session: Session, args: readonly string[]): Promise<void> {
    const values = parseKeywords(keywords, args);
    const { name, mgmtdev, type, device_features: features } = values;
    const isVduse = mgmtdev === 'vduse';
    if (!isVduse) refuseVduseKeywords(values);
    const access = await readNodeAccess(values, values.driver);
    const bus = session.options.details || values.driver !== undefined ? await machineBus(session) : undefined;
    const client = await session.client();
    let deviceId: number | undefined;
    if (type !== undefined || (features && 'names' in features)) {
      const { supportedClasses = 0n } = await client.managementDevice(mgmtdev);
      deviceId = chooseClass(mgmtdev, deviceClasses(supportedClasses), type && deviceTypeId(type));
    }
    const pairs = values.max_vqp === 'max' ? await mostPairs(client, mgmtdev) : values.max_vqp;
    const spec: DeviceSpec = {
      name,
      managementDevice: mgmtdev,
      ...(values.mac && { mac: values.mac }),
      ...(values.mtu !== undefined && { mtu: values.mtu }),
      ...(pairs !== undefined && { maxVirtqueuePairs: pairs }),
      ...(features && { features: resolveFeatures(features, deviceId) }),
    };
    const add = (wanted: DeviceSpec): Promise<void> => addToBus(session, client, bus, wanted, values, access);
    await (isVduse ? addVduse(session, client, spec, values, add) : add(spec));
    if (bus !== undefined && session.options.details) {
      await session.show('dev', async (_client, printer) => {
        await renderDetailed(printer, [await client.device(name)], bus);
      });
    }
  }
}

/** Creates a device, and binds it to a driver if one is given. With -d, waits until it is usable. */
async function addToBus(
  session: Session,
  client: VdpaClient,
  bus: VdpaBus | undefined,
  spec: DeviceSpec,
  { driver }: AddValues,
  access: NodeAccess | undefined,
): Promise<void> {
  if (bus === undefined) return client.addDevice(spec);
  const { addBoundDevice, waitUntilUsableOrDelete } = await import('../../host/add-device.js');
  if (driver === undefined) await client.addDevice(spec);
  else await addBoundDevice(client, bus, spec, driver, access && { access });
  if (session.options.details) await waitUntilUsableOrDelete(client, bus, spec.name);
}

function readPairs(text: string): number | 'max' {
  return text === 'max' ? text : readNumber('max_vqp', 0, 0xffff)(text);
}

/**
 * The number of queue pairs that a management device offers: a control queue is an additional queue. @throws UsageError
 */
async function mostPairs(client: VdpaClient, handle: string): Promise<number> {
  const { maxVirtqueues = 0 } = await client.managementDevice(handle);
  const pairs = Math.floor(maxVirtqueues / 2);
  if (pairs > 0) return pairs;
  throw new UsageError(`${handle} does not report how many queues it offers: give max_vqp as a number`);
}

/** Rejects arguments that other management devices do not support. @throws UsageError */
function refuseVduseKeywords(values: AddValues): void {
  const keyword = firstServerRequest(values) ?? (values.wait === undefined ? undefined : 'wait');
  if (keyword !== undefined) throw new UsageError(`"${keyword}" is only supported with mgmtdev vduse`);
}

/** The first argument that requests a server of vdpa, if any. */
function firstServerRequest(values: AddValues): string | undefined {
  return serverKeyword(values) ?? (values.serve && 'serve');
}

/**
 * Creates a VDUSE device: from the instance that another program serves, or with a server of vdpa if one is requested.
 */
async function addVduse(
  session: Session,
  client: VdpaClient,
  spec: DeviceSpec,
  values: AddValues,
  add: (spec: DeviceSpec) => Promise<void>,
): Promise<void> {
  const { name, type, path, wait } = values;
  const asked = firstServerRequest(values);
  if (asked !== undefined && wait !== undefined) {
    throw new UsageError(`"wait" and "${asked}" are mutually exclusive: "wait" is for a server of another program`);
  }
  const servers = await vduseServers(session);
  const { attachVduseDevice, withoutServerAttributes } = await import('../../host/attach-vduse.js');
  const isAskedFor = asked !== undefined || (wait === undefined && isSet(session.io.env['VDPA_VDUSE_SERVE']));
  if (isAskedFor) {
    // The server runs in another directory.
    const device = readDeviceSpec(name, path === undefined ? values : { ...values, path: resolve(path) });
    if (!(await servers.has(name))) {
      try {
        await servers.add(device, () => add(withoutServerAttributes(spec)), { makeFile: true });
        if (values.driver === undefined) await warnIfUnusable(session, device);
        return;
      } catch (error) {
        // Another program may have been faster: the same as if it had existed before.
        if (!(error instanceof InstanceExistsError)) throw error;
      }
    }
    const keyword = serverKeyword(values);
    if (keyword !== undefined) {
      throw new UsageError(`${name} already has a server, which defines the device: "${keyword}" has no effect`);
    }
  }
  const serveCommand = `vdpa dev add mgmtdev vduse name ${name} ${type === 'net' ? 'type net serve' : 'size 64M'}`;
  const refuse = await refusalOf(session, servers, name);
  const options = { waitMs: (wait ?? 0) * 1000, serveCommand, refuse };
  await attachVduseDevice(servers, name, options, async () => {
    await add(spec);
    if (type !== undefined) await checkType(client, name, type);
  });
}

/** Warns if a device that should have become a disk or an interface of this machine has not. */
async function warnIfUnusable(session: Session, { name, type }: ServedDeviceSpec): Promise<void> {
  const { explainUnusable } = await import('../../host/usable-device.js');
  const reason = explainUnusable(await machineBus(session), name, type === 'net' ? 'network interface' : 'disk');
  if (reason !== undefined) session.io.stderr(`Warning: ${reason}\n`);
}

/** Returns the check that rejects an instance whose server has ended. */
async function refusalOf(session: Session, servers: VduseServers, name: string): Promise<() => void> {
  await servers.awaitReplacement(name);
  const { files } = await machineBus(session);
  const { refuseUnserved } = await import('../../sysfs/instance-server.js');
  return () => {
    refuseUnserved(files, name, `add ${name}`);
  };
}

/**
 * Checks that a device has the requested type, which only its server determines. @throws UsageError; the device is
 * deleted then
 */
async function checkType(client: VdpaClient, name: string, type: DeviceType): Promise<void> {
  const { deviceId } = await client.device(name);
  if (deviceId === deviceTypeId(type)) return;
  await client.deleteDevice(name);
  throw new UsageError(`${name} is not a ${type} device: its server provides ${describeClass(deviceId)}`);
}

/** The class of the new device: the requested one, or the only one. @throws UsageError if it is not supported */
function chooseClass(handle: string, classes: readonly number[], wanted: number | undefined): number | undefined {
  if (wanted === undefined) return classes.length === 1 ? classes[0] : undefined;
  if (classes.includes(wanted)) return wanted;
  const made = classes.map(describeClass).join(', ');
  throw new UsageError(`${handle} does not support ${describeClass(wanted)} devices; supported: ${made || 'none'}`);
}
