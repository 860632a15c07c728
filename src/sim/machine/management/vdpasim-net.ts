/** The kernel's simulated network device: drivers/vdpa/vdpa_sim/vdpa_sim_net.c */
import { viewOf } from '../../../netlink/bytes.js';
import { Errno } from '../../../sys/errno.js';
import {
  VDPA_ATTR_DEV_FEATURES,
  VDPA_ATTR_DEV_NET_CFG_MACADDR,
  VDPA_ATTR_DEV_NET_CFG_MTU,
} from '../../../vdpa/uapi.js';
import { netConfigLength, netConfigOffset } from '../../../virtio/config-space.js';
import { VIRTIO_ID_NET } from '../../../virtio/ids.js';
import { formatMac, parseMac } from '../../../virtio/mac-address.js';
import type { GenlRequest } from '../../netlink/genetlink.js';
import type { MessageBuffer } from '../../netlink/message-buffer.js';
import { Refusal } from '../../netlink/refusal.js';
import { hex64 } from '../../state/model.js';
import type { DeviceState, SoftwareManagementDevice } from '../../state/model.js';
import { attributeBit, requestedFeatures } from './add-config.js';
import { writeCounters } from './counters.js';
import type { ManagementDriver, QueueContext, VdpaDevice } from './driver.js';
import { maxVirtqueueSize, rootNames } from './vdpasim.js';
import { formatHandle } from '../../../vdpa/model.js';

const linkUp = 1;
const defaultMtu = 1500;
const configAttributes =
  attributeBit(VDPA_ATTR_DEV_NET_CFG_MACADDR) |
  attributeBit(VDPA_ATTR_DEV_NET_CFG_MTU) |
  attributeBit(VDPA_ATTR_DEV_FEATURES);

export const vdpasimNet: ManagementDriver<SoftwareManagementDevice> = {
  configAttributes: () => configAttributes,

  add: (_state, management, name, config) => {
    const features = requestedFeatures(config, BigInt(management.features));
    return {
      name,
      mgmtdev: formatHandle(management),
      ...(config.mac === undefined ? {} : { mac: formatMac(config.mac) }),
      ...(config.mtu === undefined ? {} : { mtu: config.mtu }),
      ...(features === undefined ? {} : { features: hex64(features) }),
    };
  },

  setMac: (_state, device, mac) => ({ ...device, mac: formatMac(mac) }),

  open: (_state, management, device) => new NetDevice(management, device),

  takenNames: (state) => rootNames(state.machine.mgmtdev),
};

/** One of its devices. A list of devices needs only the numbers of most of them. */
class NetDevice implements VdpaDevice {
  readonly deviceId = VIRTIO_ID_NET;
  readonly vendorId = 0;
  readonly virtqueues = 3;
  readonly maxVirtqueueSize = maxVirtqueueSize;
  readonly minVirtqueueSize = 1;
  readonly #management: SoftwareManagementDevice;
  readonly #device: DeviceState;

  constructor(management: SoftwareManagementDevice, device: DeviceState) {
    this.#management = management;
    this.#device = device;
  }

  get features(): bigint {
    return BigInt(this.#device.features ?? this.#management.features);
  }

  get config(): Uint8Array {
    const { mac, mtu = defaultMtu } = this.#device;
    const config = new Uint8Array(netConfigLength);
    if (mac !== undefined) config.set(parseMac(mac), netConfigOffset.mac);
    const view = viewOf(config);
    view.setUint16(netConfigOffset.status, linkUp, true);
    view.setUint16(netConfigOffset.mtu, mtu, true);
    return config;
  }

  /** No packet ever reaches a simulated device's queues. */
  writeVendorStats(
    _request: GenlRequest,
    buffer: MessageBuffer,
    queue: number,
    { controlCommands }: QueueContext,
  ): void {
    if (queue === 0) {
      writeCounters(buffer, { 'rx packets': 0, 'rx bytes': 0, 'rx errors': 0, 'rx overruns': 0, 'rx drops': 0 });
    } else if (queue === 1) {
      writeCounters(buffer, { 'tx packets': 0, 'tx bytes': 0, 'tx errors': 0, 'tx drops': 0 });
    } else if (queue === 2) {
      const counters = { 'cvq requests': controlCommands, 'cvq successes': controlCommands, 'cvq errors': 0 };
      writeCounters(buffer, counters);
    } else {
      throw new Refusal(Errno.EINVAL);
    }
  }
}
