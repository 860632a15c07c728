import { GenlSocket, type GenlMessage } from '../netlink/genl.js';
import type { GenlFamily } from '../netlink/genl-family.js';
import type { AttributeList } from '../netlink/attribute.js';
import { NetlinkError, NetlinkProtocolError } from '../netlink/error.js';
import type { NetlinkTransport } from '../netlink/transport.js';
import { Errno } from '../sys/errno.js';
import { decodeDevice, decodeDeviceConfig, decodeManagementDevice, decodeVendorStats } from './decode.js';
import { encodeRequest, type DeviceChange, type DeviceSpec, type VdpaRequest } from './encode.js';
import type { DeviceConfig, ManagementDevice, ManagementDeviceHandle, VdpaDevice, VendorStats } from './model.js';
import { VDPA_GENL_NAME, type VdpaCommandNumber } from './uapi.js';

/** Options of a client. */
export interface VdpaClientOptions {
  /** Transport to a kernel, or to something that answers like one; by default a netlink socket of this machine. */
  readonly transport?: NetlinkTransport;
  /** Time limit for an answer of the kernel, in milliseconds. */
  readonly timeoutMs?: number;
  /** Called with the message of the kernel if a request succeeds with a warning. */
  readonly onWarning?: (kernelMessage: string) => void;
}

/** A virtqueue whose statistics the kernel did not return, and the error. */
export interface QueueRefusal {
  readonly queueIndex: number;
  readonly error: NetlinkError;
}

/** The vendor statistics of the virtqueues of a device. */
export interface DeviceQueues {
  readonly queues: readonly VendorStats[];
  /** Queues for which the kernel returned an error, except unused queues. */
  readonly refused: readonly QueueRefusal[];
}

/**
 * The vdpa generic netlink family of a kernel.
 *
 * Every method throws NetlinkError if the kernel rejects a request (with error number and message; the hint explains
 * them), and NetlinkProtocolError if the kernel's answer is invalid.
 */
export class VdpaClient {
  readonly #socket: GenlSocket;
  readonly #family: GenlFamily;
  readonly #options: VdpaClientOptions;

  private constructor(socket: GenlSocket, family: GenlFamily, options: VdpaClientOptions) {
    this.#socket = socket;
    this.#family = family;
    this.#options = options;
  }

  /**
   * Opens a socket and looks up the family.
   * @throws NetlinkUnavailableError if the machine has no generic netlink
   * @throws GenlFamilyNotFoundError if the kernel has no vdpa, or this is not the initial network namespace
   */
  static async open(options: VdpaClientOptions = {}): Promise<VdpaClient> {
    const { transport, timeoutMs } = options;
    const socket = await GenlSocket.open(transport, timeoutMs === undefined ? {} : { timeoutMs });
    try {
      return new VdpaClient(socket, await socket.family(VDPA_GENL_NAME), options);
    } catch (error) {
      await socket.close();
      throw error;
    }
  }

  /** The kernel's description of the family: its id and the operations that it supports. */
  get family(): GenlFamily {
    return this.#family;
  }

  /** All management devices (VDPA_CMD_MGMTDEV_GET). */
  managementDevices(): Promise<ManagementDevice[]> {
    return gather((item, restart) => this.eachManagementDevice(undefined, item, restart));
  }

  /** One management device. */
  managementDevice(handle: ManagementDeviceHandle): Promise<ManagementDevice> {
    return only((item) => this.eachManagementDevice(handle, item));
  }

  /** All vDPA devices of a management device (VDPA_CMD_DEV_GET). */
  devices(): Promise<VdpaDevice[]> {
    return gather((item, restart) => this.eachDevice(undefined, item, restart));
  }

  /** One vDPA device. */
  device(name: string): Promise<VdpaDevice> {
    return only((item) => this.eachDevice(name, item));
  }

  /**
   * The configuration of all vDPA devices (VDPA_CMD_DEV_CONFIG_GET), except those whose configuration the kernel does
   * not report; see {@link readDeviceConfigs}.
   */
  async deviceConfigs(): Promise<DeviceConfig[]> {
    const configs = await this.readDeviceConfigs(await this.devices());
    return [...configs.values()].flatMap((config) => (config instanceof NetlinkError ? [] : [config]));
  }

  /**
   * The configurations of these devices by name, or the error why the kernel does not report one: EOPNOTSUPP for a
   * device that is neither net nor block. Devices deleted in the meantime are omitted.
   *
   * The kernel's list silently ends at the first device whose configuration it does not report
   * (vdpa_nl_cmd_dev_config_get_dumpit); the devices after it are requested one by one.
   */
  async readDeviceConfigs(devices: readonly VdpaDevice[]): Promise<Map<string, DeviceConfig | NetlinkError>> {
    const listed = await gather<DeviceConfig>((item, restart) => this.eachDeviceConfig(undefined, item, restart));
    const known = new Map(listed.map((config) => [config.name, config]));
    const configs = new Map<string, DeviceConfig | NetlinkError>();
    for (const { name } of devices) {
      const config = known.get(name) ?? (await this.#deviceConfigIfThere(name));
      if (config) configs.set(name, config);
    }
    return configs;
  }

  async #deviceConfigIfThere(name: string): Promise<DeviceConfig | NetlinkError | undefined> {
    try {
      return await this.deviceConfig(name);
    } catch (error) {
      // A kernel that does not answer for one device does not answer for the next either.
      if (!(error instanceof NetlinkError) || error.errno === Errno.ETIMEDOUT) throw error;
      return error.errno === Errno.ENODEV ? undefined : error;
    }
  }

  /** The configuration of one vDPA device. */
  deviceConfig(name: string): Promise<DeviceConfig> {
    return only((item) => this.eachDeviceConfig(name, item));
  }

  /** Vendor statistics of a virtqueue (VDPA_CMD_DEV_VSTATS_GET). The kernel requires a queue index. */
  vendorStats(name: string, queueIndex?: number): Promise<VendorStats> {
    const request: VdpaRequest = {
      kind: 'dev.vstats.get',
      name,
      ...(queueIndex !== undefined && { queueIndex }),
    };
    return only((item) => this.#each(`show vendor statistics of ${name}`, request, decodeVendorStats, item));
  }

  /**
   * Vendor statistics of every virtqueue that a device uses. An error for one queue does not hide the others: drivers
   * answer EINVAL for an unused queue, and mlx5 EAGAIN for one that is not ready.
   * @throws NetlinkError as {@link vendorStats} does, if no queue has statistics, or the kernel does not answer
   */
  async deviceStats(device: VdpaDevice): Promise<DeviceQueues> {
    const queues: VendorStats[] = [];
    const refusals: QueueRefusal[] = [];
    for (let queueIndex = 0; queueIndex < (device.maxVirtqueues ?? 0); queueIndex++) {
      try {
        queues.push(await this.vendorStats(device.name, queueIndex));
      } catch (error) {
        if (!(error instanceof NetlinkError) || error.code === 'ETIMEDOUT') throw error;
        refusals.push({ queueIndex, error });
      }
    }
    const [first] = refusals;
    if (queues.length === 0 && first) throw first.error;
    return { queues, refused: refusals.filter(({ error }) => error.code !== 'EINVAL') };
  }

  /** Creates a vDPA device (VDPA_CMD_DEV_NEW). */
  addDevice(spec: DeviceSpec): Promise<void> {
    return this.#execute(`add vdpa device ${spec.name}`, { kind: 'dev.new', spec });
  }

  /** Deletes a vDPA device (VDPA_CMD_DEV_DEL). */
  deleteDevice(name: string): Promise<void> {
    return this.#execute(`delete vdpa device ${name}`, { kind: 'dev.del', name });
  }

  /** Changes a vDPA device (VDPA_CMD_DEV_ATTR_SET). */
  setDevice(name: string, change: DeviceChange): Promise<void> {
    return this.#execute(`change vdpa device ${name}`, { kind: 'dev.attr.set', name, change });
  }

  /**
   * Yields management devices one by one as the kernel sends them: all, or the one named.
   * @param onRestart called when the list changed while it was read and starts again: discard the devices so far.
   * Without it, such a change is an error, EINTR
   */
  eachManagementDevice(
    handle: ManagementDeviceHandle | undefined,
    onItem: (device: ManagementDevice) => void,
    onRestart?: () => void,
  ): Promise<void> {
    const request: VdpaRequest = { kind: 'mgmtdev.get', ...(handle && { handle }) };
    return this.#each('show management devices', request, decodeManagementDevice, onItem, onRestart);
  }

  /** Yields vDPA devices one by one; see {@link eachManagementDevice}. */
  eachDevice(name: string | undefined, onItem: (device: VdpaDevice) => void, onRestart?: () => void): Promise<void> {
    const request: VdpaRequest = { kind: 'dev.get', ...(name !== undefined && { name }) };
    return this.#each('show vdpa devices', request, decodeDevice, onItem, onRestart);
  }

  /**
   * Yields configurations one by one; see {@link eachManagementDevice}. Without a name it is the kernel's list, which
   * ends at the first device that is neither net nor block; {@link deviceConfigs} returns all.
   */
  eachDeviceConfig(
    name: string | undefined,
    onItem: (config: DeviceConfig) => void,
    onRestart?: () => void,
  ): Promise<void> {
    const request: VdpaRequest = { kind: 'dev.config.get', ...(name !== undefined && { name }) };
    return this.#each('show vdpa device configuration', request, decodeDeviceConfig, onItem, onRestart);
  }

  /** Closes the socket. */
  async close(): Promise<void> {
    await this.#socket.close();
  }

  #each<T>(
    operation: string,
    request: VdpaRequest,
    decode: (attributes: AttributeList) => T,
    onItem: (item: T) => void,
    onRestart?: () => void,
  ): Promise<void> {
    const onMessage = ({ attributes }: GenlMessage): void => {
      onItem(decode(attributes));
    };
    return this.#execute(operation, request, onMessage, onRestart);
  }

  #execute(
    operation: string,
    request: VdpaRequest,
    onMessage: (message: GenlMessage) => void = () => undefined,
    onRestart?: () => void,
  ): Promise<void> {
    const { onWarning } = this.#options;
    const encoded = encodeRequest(request);
    return this.#socket
      .execute(this.#family, encoded, onMessage, {
        operation,
        ...(onRestart && { onRestart }),
        ...(onWarning && { onWarning }),
      })
      .catch((error: unknown) => explain(error, encoded.command, this.#family));
  }
}

/** Adds a hint to an error of the kernel that explains it. @throws NetlinkError */
async function explain(error: unknown, command: VdpaCommandNumber, family: GenlFamily): Promise<never> {
  if (!(error instanceof NetlinkError) || error.hint !== undefined) throw error;
  const { explainRefusal } = await import('./refusal.js');
  const { explainOlderKernel } = await import('./older-kernel.js');
  const hint = explainRefusal(error) ?? explainOlderKernel(error, command, family);
  throw hint === undefined ? error : error.withHint(hint);
}

/** Collects a list entry by entry, and starts again when it has to. */
async function gather<T>(each: (onItem: (item: T) => void, onRestart: () => void) => Promise<void>): Promise<T[]> {
  const items: T[] = [];
  await each(
    (item) => items.push(item),
    () => {
      items.length = 0;
    },
  );
  return items;
}

/** The single object that was requested. */
async function only<T>(each: (onItem: (item: T) => void) => Promise<void>): Promise<T> {
  const items: T[] = [];
  await each((item) => items.push(item));
  const [item, second] = items;
  if (item === undefined || second !== undefined) {
    throw new NetlinkProtocolError(`the kernel sent ${items.length} answers where one was due`);
  }
  return item;
}
