/** The requests of the vdpa family that add, delete and set devices: drivers/vdpa/vdpa.c */
import { Errno } from '../../sys/errno.js';
import * as uapi from '../../vdpa/uapi.js';
import { VIRTIO_ID_NET } from '../../virtio/ids.js';
import { isUnicastMac } from '../../virtio/mac-address.js';
import { featureMask } from '../../virtio/feature-mask.js';
import type { GenlRequest } from '../netlink/genetlink.js';
import { plugDevice, unplugDevice } from '../machine/bus.js';
import { replaceDevice } from '../machine/devices.js';
import { whenReleased } from '../machine/holders.js';
import { managementOf } from '../machine/management-devices.js';
import { attributeBit, type AddConfig } from '../machine/management/add-config.js';
import { bindDriver } from '../machine/management/index.js';
import type { ManagementDeviceState } from '../state/model.js';
import type { MachineDraft } from '../state/store.js';
import type { VdpaContext } from './context.js';
import { requestedDevice, requestedManagementDevice } from './queries.js';

const mac = featureMask(VIRTIO_ID_NET, ['MAC']);
const mtu = featureMask(VIRTIO_ID_NET, ['MTU']);
const multiqueue = featureMask(VIRTIO_ID_NET, ['MQ']);

const netAttributes =
  attributeBit(uapi.VDPA_ATTR_DEV_NET_CFG_MACADDR) |
  attributeBit(uapi.VDPA_ATTR_DEV_NET_CFG_MTU) |
  attributeBit(uapi.VDPA_ATTR_DEV_NET_CFG_MAX_VQP);

/** The feature bits that depend on the device type: all except those of the transport, 28 to 42. */
const perDeviceFeatures = (((1n << 64n) - 1n) ^ ((1n << 43n) - 1n)) | ((1n << 28n) - 1n);

export function addDevice({ machine }: VdpaContext, request: GenlRequest): void {
  const name = request.attributes.cString(uapi.VDPA_ATTR_DEV_NAME);
  if (name === undefined) return request.refuse(Errno.EINVAL);
  const config = readConfig(request);
  machine.update((state) => {
    const management = requestedManagementDevice(state, request, 'vdpa: Fail to find the specified management device');
    checkConfig(request, management, config);
    plugDevice(state, management, name, config);
  });
}

/** The requested attributes of a new device. @throws Refusal for a contradictory request */
function readConfig(request: GenlRequest): AddConfig {
  const { attributes } = request;
  const address = attributes.bytes(uapi.VDPA_ATTR_DEV_NET_CFG_MACADDR, 6);
  const mtuSize = attributes.u16(uapi.VDPA_ATTR_DEV_NET_CFG_MTU);
  const pairs = attributes.u16(uapi.VDPA_ATTR_DEV_NET_CFG_MAX_VQP);
  if (pairs === 0) request.refuse(Errno.EINVAL, 'vdpa: At least one pair of VQs is required');
  const features = attributes.u64(uapi.VDPA_ATTR_DEV_FEATURES);
  if (features !== undefined) {
    let missing = 0n;
    if (address !== undefined) missing |= mac & ~features;
    if (mtuSize !== undefined) missing |= mtu & ~features;
    if (pairs !== undefined && pairs > 1) missing |= multiqueue & ~features;
    if (missing !== 0n) {
      request.extack.format(`vdpa: Missing features 0x${missing.toString(16)} for provided attributes`);
      request.refuse(Errno.EINVAL);
    }
  }
  return {
    mask: givenAttributes(request),
    ...(address && { mac: address }),
    ...(mtuSize !== undefined && { mtu: mtuSize }),
    ...(pairs !== undefined && { maxVirtqueuePairs: pairs }),
    ...(features !== undefined && { features }),
  };
}

function givenAttributes({ attributes }: GenlRequest): bigint {
  return [
    uapi.VDPA_ATTR_DEV_NET_CFG_MACADDR,
    uapi.VDPA_ATTR_DEV_NET_CFG_MTU,
    uapi.VDPA_ATTR_DEV_NET_CFG_MAX_VQP,
    uapi.VDPA_ATTR_DEV_FEATURES,
  ].reduce((mask, attribute) => (attributes.has(attribute) ? mask | attributeBit(attribute) : mask), 0n);
}

/** Checks that the management device supports the request. @throws Refusal */
function checkConfig(request: GenlRequest, management: ManagementDeviceState, config: AddConfig): void {
  const unsupported = config.mask & ~bindDriver(management).configAttributes;
  if (unsupported !== 0n) {
    request.extack.format(`vdpa: Some provided attributes are not supported: 0x${unsupported.toString(16)}`);
    request.refuse(Errno.EOPNOTSUPP);
  }
  const isNet = management.classes.includes(VIRTIO_ID_NET);
  const asksForNet = (config.mask & netAttributes) !== 0n;
  if (asksForNet && !isNet) {
    request.refuse(Errno.EINVAL, 'vdpa: Network class attributes provided on unsupported management device');
  }
  const ambiguous = isNet && management.classes.length > 1 && ((config.features ?? 0n) & perDeviceFeatures) !== 0n;
  if (!asksForNet && ambiguous) {
    request.refuse(
      Errno.EINVAL,
      'vdpa: Management device supports multi-class while device features specified are ambiguous',
    );
  }
}

export function deleteDevice({ machine }: VdpaContext, request: GenlRequest): void {
  whenReleased(() => {
    machine.update((state) => {
      unplugDevice(state, requestedDevice(state, request));
    });
  });
}

export function setDevice({ machine }: VdpaContext, request: GenlRequest): void {
  machine.update((state) => {
    setAttributes(state, request);
  });
}

function setAttributes(state: MachineDraft, request: GenlRequest): void {
  const device = requestedDevice(state, request);
  const management = managementOf(state, device);
  if (!management.classes.includes(VIRTIO_ID_NET)) {
    // The kernel sets a message, but succeeds.
    const name = request.attributes.cString(uapi.VDPA_ATTR_DEV_NAME) ?? '';
    request.extack.format(`vdpa: ${name} device not supported`);
    return;
  }
  const address = request.attributes.bytes(uapi.VDPA_ATTR_DEV_NET_CFG_MACADDR, 6);
  if (address === undefined) return request.refuse(Errno.EOPNOTSUPP);
  if (!isUnicastMac(address)) request.refuse(Errno.EOPNOTSUPP, 'vdpa: Invalid MAC address');
  const { setMac } = bindDriver(management);
  if (setMac === undefined) return request.refuse(Errno.EOPNOTSUPP, 'vdpa: Operation not supported by the device.');
  replaceDevice(state, device, setMac(state, device, address));
}
