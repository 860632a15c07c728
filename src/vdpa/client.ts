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

/** How a client reaches the kernel. */
export interface VdpaClientOptions {
  /** The way to a kernel, or to something that answers like one. A socket of this machine's where absent. */
  readonly transport?: NetlinkTransport;
  /** How long the kernel may take for an answer, in milliseconds. */
  readonly timeoutMs?: number;
  /** Called with the kernel's words where it does what was asked and still has something to say. */
  readonly onWarning?: (kernelMessage: string) => void;
}

/** A virtqueue whose statistics the kernel refuses, and why. */
export interface QueueRefusal {
  readonly queueIndex: number;
  readonly error: NetlinkError;
}

/** The vendor statistics of the virtqueues of a device. */
export interface DeviceQueues {
  readonly queues: readonly VendorStats[];
  /** Those that were refused, but for queues that are not in use. */
  readonly refused: readonly QueueRefusal[];
}

/**
 * The vdpa generic netlink family of a kernel.
 *
 * Every method throws NetlinkError where the kernel refuses (with its error number and its words; the hint says what they
 * are about), and NetlinkProtocolError where its answer cannot be understood.
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
   * Opens a socket and looks the family up.
   * @throws NetlinkUnavailableError where there is no generic netlink
   * @throws GenlFamilyNotFoundError where the kernel has no vdpa, or this is not the initial network namespace
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

  /** The family as the kernel describes it: its id, and the operations that it knows. */
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

  /** All vDPA devices that were made on a management device (VDPA_CMD_DEV_GET). */
  devices(): Promise<VdpaDevice[]> {
    return gather((item, restart) => this.eachDevice(undefined, item, restart));
  }

  /** One vDPA device. */
  device(name: string): Promise<VdpaDevice> {
    return only((item) => this.eachDevice(name, item));
  }

  /**
   * The configuration of all vDPA devices (VDPA_CMD_DEV_CONFIG_GET), but of those of which the kernel tells none:
   * {@link readDeviceConfigs} says why.
   */
  async deviceConfigs(): Promise<DeviceConfig[]> {
    const configs = await this.readDeviceConfigs(await this.devices());
    return [...configs.values()].flatMap((config) => (config instanceof NetlinkError ? [] : [config]));
  }

  /**
   * The configurations of these devices by name, or why the kernel does not tell one: EOPNOTSUPP for a device that is
   * neither net nor block. A device that has gone meanwhile is left out.
   *
   * The kernel's list ends without a word at the first device that it cannot tell of (vdpa_nl_cmd_dev_config_get_dumpit);
   * those behind it are asked for one by one.
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
      // A kernel that does not answer for one device does not for the next either.
      if (!(error instanceof NetlinkError) || error.errno === Errno.ETIMEDOUT) throw error;
      return error.errno === Errno.ENODEV ? undefined : error;
    }
  }

  /** The configuration of one vDPA device. */
  deviceConfig(name: string): Promise<DeviceConfig> {
    return only((item) => this.eachDeviceConfig(name, item));
  }

  /** Vendor statistics of a virtqueue (VDPA_CMD_DEV_VSTATS_GET). The kernel refuses without a queue index. */
  vendorStats(name: string, queueIndex?: number): Promise<VendorStats> {
    const request: VdpaRequest = {
      kind: 'dev.vstats.get',
      name,
      ...(queueIndex !== undefined && { queueIndex }),
    };
    return only((item) => this.#each(`show vendor statistics of ${name}`, request, decodeVendorStats, item));
  }

  /**
   * Vendor statistics of every virtqueue that a device has in use. A queue that the kernel refuses does not hide the others:
   * drivers answer EINVAL for one that is not in use, and mlx5 EAGAIN for one that is not ready.
   * @throws NetlinkError as {@link vendorStats} does, where not one queue has statistics, or the kernel does not answer
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

  /** Makes a vDPA device (VDPA_CMD_DEV_NEW). */
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
   * Gives management devices one by one as the kernel sends them: all, or the one that is named.
   * @param onRestart told to forget what was given: the list changed meanwhile and comes anew. Without it that is an error, EINTR
   */
  eachManagementDevice(
    handle: ManagementDeviceHandle | undefined,
    onItem: (device: ManagementDevice) => void,
    onRestart?: () => void,
  ): Promise<void> {
    const request: VdpaRequest = { kind: 'mgmtdev.get', ...(handle && { handle }) };
    return this.#each('show management devices', request, decodeManagementDevice, onItem, onRestart);
  }

  /** Gives vDPA devices one by one; see {@link eachManagementDevice}. */
  eachDevice(name: string | undefined, onItem: (device: VdpaDevice) => void, onRestart?: () => void): Promise<void> {
    const request: VdpaRequest = { kind: 'dev.get', ...(name !== undefined && { name }) };
    return this.#each('show vdpa devices', request, decodeDevice, onItem, onRestart);
  }

  /**
   * Gives configurations one by one; see {@link eachManagementDevice}. Without a name it is the kernel's list, which ends
   * at the first device that is neither net nor block; {@link deviceConfigs} has all.
   */
  eachDeviceConfig(
    name: string | undefined,
    onItem: (config: DeviceConfig) => void,
    onRestart?: () => void,
  ): Promise<void> {
    const request: VdpaRequest = { kind: 'dev.config.get', ...(name !== undefined && { name }) };
    return this.#each('show vdpa device configuration', request, decodeDeviceConfig, onItem, onRestart);
  }

  /** Gives the socket back. */
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

/** Adds to the kernel's refusal what it is about, in words. @throws NetlinkError */
async function explain(error: unknown, command: VdpaCommandNumber, family: GenlFamily): Promise<never> {
  if (!(error instanceof NetlinkError) || error.hint !== undefined) throw error;
  const { explainRefusal } = await import('./refusal.js');
  const { explainOlderKernel } = await import('./older-kernel.js');
  const hint = explainRefusal(error) ?? explainOlderKernel(error, command, family);
  throw hint === undefined ? error : error.withHint(hint);
}

/** Gathers what is given one by one, and begins anew where it has to. */
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

/** The one thing that was asked for. */
async function only<T>(each: (onItem: (item: T) => void) => Promise<void>): Promise<T> {
  const items: T[] = [];
  await each((item) => items.push(item));
  const [item, second] = items;
  if (item === undefined || second !== undefined) {
    throw new NetlinkProtocolError(`the kernel sent ${items.length} answers where one was due`);
  }
  return item;
}
