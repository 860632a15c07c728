import { VdpaCommand } from '../../cli/command.js';
import { UsageError } from '../../cli/error.js';
import { parseKeywords, type Keywords } from '../../cli/grammar.js';
import { machineBus } from '../../cli/machine.js';
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
import type { DeviceSpec } from '../../vdpa/encode.js';
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
} as const satisfies Keywords;

export default class DevAdd extends VdpaCommand {
  static override summary = 'add a vdpa device';
  static override usage = [
    'vdpa dev add name NAME mgmtdev MANAGEMENTDEV [ type { net | block } ]',
    '                                             [ device_features DEVICE_FEATURES ]',
    '                                             [ mac MACADDR ] [ mtu MTU ]',
    '                                             [ max_vqp MAX_VQ_PAIRS ]',
    '                                             [ driver { vhost | virtio | NAME } ]',
  ];
  static override keywords = keywords;

  async execute(session: Session, words: readonly string[]): Promise<void> {
    const values = parseKeywords(keywords, words);
    const { mgmtdev, type, device_features: features, driver } = values;
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
    if (session.options.sim && formatHandle(mgmtdev) === 'vduse') {
      const { attachSimulatedServer } = await import('../../sim/served-device.js');
      await attachSimulatedServer(session.io.env, values.name, deviceId, () => client.addDevice(spec));
      return;
    }
    if (driver === undefined) {
      await client.addDevice(spec);
      return;
    }
    const { addBoundDevice } = await import('../../host/add-device.js');
    await addBoundDevice(client, await machineBus(session), spec, driver);
  }
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
