/** The VDUSE devices of a simulated machine, and their simulated servers. */
import { formatMac } from '../../virtio/mac-address.js';
import { check } from '../../generated/vduse-server.js';
import { viewOf } from '../../netlink/bytes.js';
import { Errno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';
import { SECTOR_SIZE } from '../../virtio/block.js';
import { blockConfigOffset, netConfigOffset } from '../../virtio/config-space.js';
import { featureBits } from '../../virtio/features.js';
import { VIRTIO_ID_NET } from '../../virtio/ids.js';
import { VIRTIO_NET_F_MTU } from '../../virtio/net.js';
import { VduseError } from '../../vduse/error.js';
import { checkDeviceName } from '../../vduse/kernel/name.js';
import { readServerEntry, toDeviceSpec, toEntry, type ServerEntry } from '../../vduse/spec/arguments.js';
import { resolveSpec } from '../../vduse/spec/resolve.js';
import type { ServedDeviceSpec } from '../../vduse/spec/device-spec.js';
import type { InstanceStatus, StartServerOptions, VduseInstance, VduseServers } from '../../vduse/daemon/servers.js';
import { SimulationError } from '../error.js';
import { findDevice, openDevice } from '../machine/devices.js';
import { addSimulatedServer } from './add.js';
import type { Simulation } from '../simulation.js';
import { busName, type SimState, type VduseInstanceState } from '../state/model.js';
import { isAttached } from '../state/vduse-instance.js';
import { negotiate } from '../machine/virtio-driver.js';

/** The number of queues that virtio_net uses without a control queue, which VDUSE devices never have. */
const NET_QUEUES_IN_USE = 2;

/** The servers of a simulated machine. There are no processes and no counters, and servers do not die. */
export class SimulatedServers implements VduseServers {
  readonly #simulation: Simulation;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  /** @throws SimulationError */
  list(only?: string): Promise<VduseInstance[]> {
    if (only !== undefined) checkDeviceName(only);
    const { store } = this.#simulation;
    const state = store.read();
    const instances = state.vduse
      .filter(({ name }) => only === undefined || name === only)
      .map((instance) => toInstance(state, instance, store.path))
      .sort((one, other) => (one.name < other.name ? -1 : 1));
    return Promise.resolve(instances);
  }

  /** @throws SimulationError */
  has(name: string): Promise<boolean> {
    const { store } = this.#simulation;
    return Promise.resolve(store.read().vduse.some((instance) => instance.name === name));
  }

  add(device: ServedDeviceSpec, attach: () => Promise<void>, options?: StartServerOptions): Promise<void> {
    return addSimulatedServer(this.#simulation, device, attach, options);
  }

  takeOver({ name }: ServedDeviceSpec): Promise<void> {
    const hint = 'A simulated device always has its server';
    return Promise.reject(new SystemError({ operation: `serve ${name}`, errno: Errno.EEXIST, hint }));
  }

  /** Simulated servers do not die. */
  awaitReplacement(): Promise<void> {
    return Promise.resolve();
  }

  /** The instance was destroyed together with its device. */
  end(): Promise<void> {
    return Promise.resolve();
  }

  /** @throws SystemError EBUSY for a device of another program, EACCES for users other than root; SimulationError */
  async remove(name: string, detach: () => Promise<void>): Promise<void> {
    checkDeviceName(name);
    const { store } = this.#simulation;
    const isThere = (): boolean => store.read().vduse.some((instance) => instance.name === name);
    if (!isThere()) throw new VduseError(`No VDUSE instance named ${name}`);
    if (isAttached(store.read(), name)) await detach();
    // An instance of vdpa is destroyed together with its device.
    if (!isThere()) return;
    const errno = this.#simulation.uid === 0 ? Errno.EBUSY : Errno.EACCES;
    throw new SystemError({ operation: `destroy the VDUSE instance ${name}`, errno });
  }
}

function toInstance(state: SimState, instance: VduseInstanceState, path: string): VduseInstance {
  const { name, served } = instance;
  if (served === undefined) return { name, server: 'other', attached: isAttached(state, name) };
  const complaint = check(served);
  if (complaint !== undefined) {
    throw new SimulationError(
      `The simulated machine's state file ${path} is damaged: the server of ${name}: ${complaint}`,
    );
  }
  return { name, server: 'vdpa', status: statusOf(state, instance, served) };
}

function statusOf(state: SimState, instance: VduseInstanceState, served: ServerEntry): InstanceStatus {
  const device = findDevice(state, busName(instance.name));
  const features = device && negotiate(device, openDevice(state, device)).features;
  const isNet = instance.device_id === VIRTIO_ID_NET;
  const inUse = features === undefined ? 0 : isNet ? NET_QUEUES_IN_USE : instance.vq_sizes.length;
  return {
    name: instance.name,
    deviceId: instance.device_id,
    state: features === undefined ? 'idle' : 'running',
    attached: device !== undefined,
    deleted: false,
    driverStatus: 0,
    features: `0x${(features ?? 0n).toString(16)}`,
    queueSize: instance.vq_sizes[0] ?? 0,
    queues: instance.vq_sizes.map((_size, index) => ({
      state: index < inUse ? 'running' : 'stopped',
      requests: 0,
      bytesIn: 0,
      bytesOut: 0,
      errors: 0,
      interrupts: 0,
    })),
    device: toEntry(resolveSpec(toDeviceSpec(instance.name, { ...readServerEntry(served), ...identityOf(instance) }))),
    ...(!isNet && { size: Number(configOf(instance).getBigUint64(blockConfigOffset.capacity, true)) * SECTOR_SIZE }),
  };
}

const configOf = ({ config }: VduseInstanceState): DataView => viewOf(Buffer.from(config, 'hex'));

/**
 * The attributes of a device that are not options of its server: the type, and for a network device address and MTU.
 */
function identityOf(instance: VduseInstanceState): { type: 'block' } | { type: 'net'; mac: string; mtu?: number } {
  if (instance.device_id !== VIRTIO_ID_NET) return { type: 'block' };
  const config = configOf(instance);
  const mac = new Uint8Array(config.buffer, config.byteOffset + netConfigOffset.mac, 6);
  const hasMtu = featureBits(BigInt(instance.features)).includes(Number(VIRTIO_NET_F_MTU));
  return { type: 'net', mac: formatMac(mac), ...(hasMtu && { mtu: config.getUint16(netConfigOffset.mtu, true) }) };
}
