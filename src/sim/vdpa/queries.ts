/** The requests of the vdpa family that change nothing: drivers/vdpa/vdpa.c */
import { Errno } from '../../sys/errno.js';
import * as uapi from '../../vdpa/uapi.js';
import { VIRTIO_ID_NET } from '../../virtio/ids.js';
import type { GenlRequest } from '../netlink/genetlink.js';
import { findDevice, openDevice } from '../machine/devices.js';
import { findManagementDevice, managementOf } from '../machine/management-devices.js';
import type { VdpaDevice } from '../machine/management/driver.js';
import { bindDriver } from '../machine/management/index.js';
import type { MessageBuffer } from '../netlink/message-buffer.js';
import type { Dump } from '../netlink/socket.js';
import { Refusal } from '../netlink/refusal.js';
import type { DeviceState, ManagementDeviceState, SimState } from '../state/model.js';
import type { VdpaContext } from './context.js';
import { writeConfig, writeQueuePairs } from './messages.js';
import { negotiate, runningTime } from '../machine/virtio-driver.js';
import { formatHandle } from '../../vdpa/model.js';

/** VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MAX */
const maxQueueIndex = 0x8000;

/** Writes the answer about one device, or one management device. @throws Refusal */
type Write<Item> = (buffer: MessageBuffer, state: SimState, item: Item) => void;

/** The management device named in a request. @throws Refusal with this message if there is none */
export function requestedManagementDevice(
  state: SimState,
  request: GenlRequest,
  message: string,
): ManagementDeviceState {
  const name = request.attributes.cString(uapi.VDPA_ATTR_MGMTDEV_DEV_NAME);
  if (name === undefined) return request.refuse(Errno.EINVAL, message);
  const bus = request.attributes.cString(uapi.VDPA_ATTR_MGMTDEV_BUS_NAME);
  return findManagementDevice(state, bus, name) ?? request.refuse(Errno.ENODEV, message);
}

/** The device named in a request. @throws Refusal if there is none */
export function requestedDevice(state: SimState, request: GenlRequest): DeviceState {
  const name = request.attributes.cString(uapi.VDPA_ATTR_DEV_NAME);
  if (name === undefined) return request.refuse(Errno.EINVAL);
  return findDevice(state, name) ?? request.refuse(Errno.ENODEV, 'vdpa: device not found');
}

export function getManagementDevice({ machine }: VdpaContext, request: GenlRequest): void {
  const state = machine.read();
  const management = requestedManagementDevice(state, request, 'vdpa: Fail to find the specified mgmt device');
  request.reply(uapi.VDPA_CMD_MGMTDEV_NEW, (buffer) => {
    writeManagementDevice(buffer, state, management);
  });
}

export function dumpManagementDevices(context: VdpaContext, request: GenlRequest): Dump {
  return dumpAll(context, request, {
    asked: uapi.VDPA_CMD_MGMTDEV_GET,
    answered: uapi.VDPA_CMD_MGMTDEV_NEW,
    items: (state) => state.machine.mgmtdev,
    nameOf: formatHandle,
    write: writeManagementDevice,
  });
}

const writeManagementDevice: Write<ManagementDeviceState> = (buffer, _state, management) => {
  writeHandle(buffer, management);
  const classes = management.classes.reduce((word, id) => (id > 63 ? word : word | (1n << BigInt(id))), 0n);
  buffer.u64(uapi.VDPA_ATTR_MGMTDEV_SUPPORTED_CLASSES, classes);
  buffer.u32(uapi.VDPA_ATTR_DEV_MGMTDEV_MAX_VQS, management.max_vqs);
  buffer.u64(uapi.VDPA_ATTR_DEV_SUPPORTED_FEATURES, BigInt(management.features));
};

function writeHandle(buffer: MessageBuffer, { bus, name }: ManagementDeviceState): void {
  if (bus !== undefined) buffer.string(uapi.VDPA_ATTR_MGMTDEV_BUS_NAME, bus);
  buffer.string(uapi.VDPA_ATTR_MGMTDEV_DEV_NAME, name);
}

export function getDevice({ machine }: VdpaContext, request: GenlRequest): void {
  const state = machine.read();
  const device = requestedDevice(state, request);
  request.reply(uapi.VDPA_CMD_DEV_NEW, (buffer) => {
    writeDevice(buffer, state, device);
  });
}

export function dumpDevices(context: VdpaContext, request: GenlRequest): Dump {
  return dumpAll(context, request, {
    asked: uapi.VDPA_CMD_DEV_GET,
    answered: uapi.VDPA_CMD_DEV_NEW,
    items: (state) => state.devices,
    nameOf: ({ name }) => name,
    write: writeDevice,
  });
}

const writeDevice: Write<DeviceState> = (buffer, state, device) => {
  const management = managementOf(state, device);
  const opened = bindDriver(management).open(state, device);
  writeHandle(buffer, management);
  buffer.string(uapi.VDPA_ATTR_DEV_NAME, device.name);
  buffer.u32(uapi.VDPA_ATTR_DEV_ID, opened.deviceId);
  buffer.u32(uapi.VDPA_ATTR_DEV_VENDOR_ID, opened.vendorId);
  buffer.u32(uapi.VDPA_ATTR_DEV_MAX_VQS, opened.virtqueues);
  buffer.u16(uapi.VDPA_ATTR_DEV_MAX_VQ_SIZE, opened.maxVirtqueueSize);
  buffer.u16(uapi.VDPA_ATTR_DEV_MIN_VQ_SIZE, opened.minVirtqueueSize);
};

export function getConfig({ machine }: VdpaContext, request: GenlRequest): void {
  const state = machine.read();
  const device = requestedDevice(state, request);
  request.reply(uapi.VDPA_CMD_DEV_CONFIG_GET, (buffer) => {
    writeDeviceConfig(buffer, state, device);
  });
}

export function dumpConfigs(context: VdpaContext, request: GenlRequest): Dump {
  return dumpAll(context, request, {
    asked: uapi.VDPA_CMD_DEV_CONFIG_GET,
    answered: uapi.VDPA_CMD_DEV_CONFIG_GET,
    items: (state) => state.devices,
    nameOf: ({ name }) => name,
    write: writeDeviceConfig,
  });
}

const writeDeviceConfig: Write<DeviceState> = (buffer, state, device) => {
  const opened = openDevice(state, device);
  writeIdentity(buffer, device, opened);
  const { features } = negotiate(device, opened);
  if (features !== undefined) buffer.u64(uapi.VDPA_ATTR_DEV_NEGOTIATED_FEATURES, features);
  writeConfig(buffer, opened);
};

function writeIdentity(buffer: MessageBuffer, device: DeviceState, opened: VdpaDevice): void {
  buffer.string(uapi.VDPA_ATTR_DEV_NAME, device.name);
  buffer.u32(uapi.VDPA_ATTR_DEV_ID, opened.deviceId);
}

export function getVendorStats({ machine }: VdpaContext, request: GenlRequest): void {
  const state = machine.read();
  const queue = request.attributes.u32(uapi.VDPA_ATTR_DEV_QUEUE_INDEX);
  if (queue === undefined) request.refuse(Errno.EINVAL);
  const device = requestedDevice(state, request);
  const opened = openDevice(state, device);
  request.reply(uapi.VDPA_CMD_DEV_VSTATS_GET, (buffer) => {
    writeIdentity(buffer, device, opened);
    if (opened.deviceId !== VIRTIO_ID_NET) request.refuse(Errno.EOPNOTSUPP);
    if (queue > maxQueueIndex) request.refuse(Errno.ERANGE, 'vdpa: queue index exceeds max value');
    if (opened.writeVendorStats === undefined) request.refuse(Errno.EOPNOTSUPP);
    const { features, controlCommands } = negotiate(device, opened);
    if (features === undefined) request.refuse(Errno.EAGAIN, 'vdpa: feature negotiation not complete');
    buffer.u64(uapi.VDPA_ATTR_DEV_NEGOTIATED_FEATURES, features);
    writeQueuePairs(buffer, opened.config, features);
    buffer.u32(uapi.VDPA_ATTR_DEV_QUEUE_INDEX, queue);
    const runningMs = runningTime(device, machine.now());
    opened.writeVendorStats(request, buffer, queue, { negotiated: features, controlCommands, runningMs });
  });
}

/** A list that can be dumped. */
interface Listing<Item> {
  readonly asked: uapi.VdpaCommandNumber;
  readonly answered: uapi.VdpaCommandNumber;
  readonly items: (state: SimState) => readonly Item[];
  readonly nameOf: (item: Item) => string;
  readonly write: Write<Item>;
}

/**
 * Dumps a list like the kernel: each datagram starts from a number of items to skip, whatever was added or removed in
 * the meantime. An item that cannot be reported silently ends the dump.
 */
function dumpAll<Item>({ machine, faults }: VdpaContext, request: GenlRequest, listing: Listing<Item>): Dump {
  const dumpFaults = faults.meetDump(listing.asked, request);
  let next = 0;
  return (buffer, extack) => {
    const state = machine.read();
    const items = listing.items(state);
    let item = items[next];
    const write = (part: MessageBuffer): void => {
      if (item !== undefined) listing.write(part, state, item);
    };
    for (; item !== undefined; item = items[next]) {
      const name = listing.nameOf(item);
      dumpFaults?.before(name, next, extack);
      const fits = writePart(request, buffer, listing.answered, write);
      if (!fits) break;
      next++;
      if (dumpFaults?.after(name) === 'gone') break;
    }
    return buffer.length > 0 ? 'more' : 'done';
  };
}

/** Whether the message had enough space and something was reported. */
function writePart(
  request: GenlRequest,
  buffer: MessageBuffer,
  command: number,
  write: (buffer: MessageBuffer) => void,
): boolean {
  try {
    return request.part(buffer, command, write);
  } catch (error) {
    if (error instanceof Refusal) return false;
    throw error;
  }
}
