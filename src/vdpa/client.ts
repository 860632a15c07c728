import { GenlSocket, type GenlMessage } from '../netlink/genl.js';
import type { GenlFamily } from '../netlink/genl-family.js';
import type { AttributeList } from '../netlink/attribute.js';
import { NetlinkError, NetlinkProtocolError } from '../netlink/error.js';
import type { NetlinkTransport } from '../netlink/transport.js';
import { Errno } from '../sys/errno.js';
import type { WaitOptions } from '../sys/wait.js';
import { decodeDevice, decodeDeviceConfig, decodeManagementDevice, decodeVendorStats } from './decode.js';
import { encodeRequest, type DeviceChange, type DeviceSpec, type VdpaRequest } from './encode.js';
import { Listing } from './listing.js';
import type { DeviceConfig, ManagementDevice, VdpaDevice, VendorStats } from './model.js';
import { VDPA_GENL_NAME, type VdpaCommandNumber } from './uapi.js';

/**
 * Options of a client. Its time limit is for each answer of the kernel, 10 s by default; its signal is for opening it.
 */
export interface VdpaClientOptions extends WaitOptions {
  /** Transport to a kernel, or to something that answers like one; by default a netlink socket of this machine. */
  readonly transport?: NetlinkTransport;
  /** Called with the message of the kernel if a request succeeds with a warning. */
  readonly onWarning?: (kernelMessage: string) => void;
}

/**
 * Options of a list that is passed on object by object. Its time limit is for each answer of the kernel, as long as
 * that of the client by default.
 */
export interface EachOptions extends WaitOptions {
  /**
   * Called when the list changed while it was read and starts again: discard the objects so far. Without it, such a
   * change is an error, EINTR.
   */
  readonly onRestart?: () => void;
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
 * them) or does not answer within the time limit (ETIMEDOUT), NetlinkProtocolError if the kernel's answer is invalid,
 * ArgumentError for an argument that does not fit a message, and the reason of the signal once that is aborted. A
 * request that changes something may have been carried out by then.
 *
 * @example
 * await using client = await VdpaClient.open();
 * for await (const device of client.devices()) console.log(device.name);
 */
export class VdpaClient implements AsyncDisposable {
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
    const { transport, timeoutMs, signal } = options;
    const socket = await GenlSocket.open(transport, timeoutMs === undefined ? {} : { timeoutMs });
    try {
      return new VdpaClient(socket, await socket.family(VDPA_GENL_NAME, signal && { signal }), options);
    } catch (error) {
      await socket.close();
      throw error;
    }
  }

  /** The kernel's description of the family: its id and the operations that it supports. */
  get family(): GenlFamily {
    return this.#family;
  }

  /** All management devices (VDPA_CMD_MGMTDEV_GET). `vdpa mgmtdev show` */
  managementDevices(options: WaitOptions = {}): Listing<ManagementDevice> {
    return this.#list<ManagementDevice>(options, handleOf, (onItem, each) =>
      this.eachManagementDevice(undefined, onItem, each),
    );
  }

  /** One management device, such as `pci/0000:03:00.2`. `vdpa mgmtdev show MANAGEMENTDEV` */
  managementDevice(handle: string, options?: WaitOptions): Promise<ManagementDevice> {
    return only((item) => this.eachManagementDevice(handle, item, options));
  }

  /** All vDPA devices (VDPA_CMD_DEV_GET). `vdpa dev show` */
  devices(options: WaitOptions = {}): Listing<VdpaDevice> {
    return this.#list<VdpaDevice>(options, nameOf, (onItem, each) => this.eachDevice(undefined, onItem, each));
  }

  /** One vDPA device. `vdpa dev show NAME` */
  device(name: string, options?: WaitOptions): Promise<VdpaDevice> {
    return only((item) => this.eachDevice(name, item, options));
  }

  /**
   * The configuration of all vDPA devices (VDPA_CMD_DEV_CONFIG_GET), except those whose configuration the kernel does
   * not report; see {@link readDeviceConfigs}. `vdpa dev config show`
   */
  deviceConfigs(options: WaitOptions = {}): Listing<DeviceConfig> {
    return this.#list<DeviceConfig>(options, nameOf, async (onItem, { signal, timeoutMs }) => {
      const wait = { ...(signal && { signal }), ...(timeoutMs !== undefined && { timeoutMs }) };
      const configs = await this.readDeviceConfigs(await this.devices(wait), wait);
      for (const config of configs.values()) if (!(config instanceof NetlinkError)) onItem(config);
    });
  }

  /**
   * The configurations of these devices by name, or the error why the kernel does not report one: EOPNOTSUPP for a
   * device that is neither net nor block. Devices deleted in the meantime are omitted.
   *
   * The kernel's list silently ends at the first device whose configuration it does not report
   * (vdpa_nl_cmd_dev_config_get_dumpit); the devices after it are requested one by one.
   */
  async readDeviceConfigs(
    devices: readonly VdpaDevice[],
    options: WaitOptions = {},
  ): Promise<Map<string, DeviceConfig | NetlinkError>> {
    const listed = await this.#list<DeviceConfig>(options, nameOf, (onItem, each) =>
      this.eachDeviceConfig(undefined, onItem, each),
    );
    const known = new Map(listed.map((config) => [config.name, config]));
    const configs = new Map<string, DeviceConfig | NetlinkError>();
    for (const { name } of devices) {
      const config = known.get(name) ?? (await this.#deviceConfigIfThere(name, options));
      if (config) configs.set(name, config);
    }
    return configs;
  }

  async #deviceConfigIfThere(name: string, options: WaitOptions): Promise<DeviceConfig | NetlinkError | undefined> {
    try {
      return await this.deviceConfig(name, options);
    } catch (error) {
      // A kernel that does not answer for one device does not answer for the next either.
      if (!(error instanceof NetlinkError) || error.errno === Errno.ETIMEDOUT) throw error;
      return error.errno === Errno.ENODEV ? undefined : error;
    }
  }

  /** The configuration of one vDPA device. `vdpa dev config show NAME` */
  deviceConfig(name: string, options?: WaitOptions): Promise<DeviceConfig> {
    return only((item) => this.eachDeviceConfig(name, item, options));
  }

  /**
   * Vendor statistics of a virtqueue (VDPA_CMD_DEV_VSTATS_GET). `vdpa dev vstats show NAME qidx N`
   * @param queueIndex the kernel requires one, and rejects `undefined`
   */
  vendorStats(name: string, queueIndex: number | undefined, options?: WaitOptions): Promise<VendorStats> {
    const request: VdpaRequest = {
      kind: 'dev.vstats.get',
      name,
      ...(queueIndex !== undefined && { queueIndex }),
    };
    return only((item) => this.#each(`show vendor statistics of ${name}`, request, decodeVendorStats, item, options));
  }

  /**
   * Vendor statistics of every virtqueue that a device uses. An error for one queue does not hide the others: drivers
   * answer EINVAL for an unused queue, and mlx5 EAGAIN for one that is not ready. `vdpa dev stats show NAME`
   * @throws NetlinkError as {@link vendorStats} does, if no queue has statistics, or the kernel does not answer
   */
  async deviceStats(device: Pick<VdpaDevice, 'name' | 'maxVirtqueues'>, options?: WaitOptions): Promise<DeviceQueues> {
    const queues: VendorStats[] = [];
    const refusals: QueueRefusal[] = [];
    for (let queueIndex = 0; queueIndex < (device.maxVirtqueues ?? 0); queueIndex++) {
      try {
        queues.push(await this.vendorStats(device.name, queueIndex, options));
      } catch (error) {
        if (!(error instanceof NetlinkError) || error.code === 'ETIMEDOUT') throw error;
        refusals.push({ queueIndex, error });
      }
    }
    const [first] = refusals;
    if (queues.length === 0 && first) throw first.error;
    return { queues, refused: refusals.filter(({ error }) => error.code !== 'EINVAL') };
  }

  /** Creates a vDPA device (VDPA_CMD_DEV_NEW). `vdpa dev add name NAME mgmtdev MANAGEMENTDEV` */
  addDevice(spec: DeviceSpec, options?: WaitOptions): Promise<void> {
    return this.#execute(`add vdpa device ${spec.name}`, { kind: 'dev.new', spec }, ignore, options);
  }

  /**
   * Deletes a vDPA device (VDPA_CMD_DEV_DEL). `vdpa dev del NAME force`; the function `deleteDevice` is `vdpa dev del
   * NAME`.
   */
  deleteDevice(name: string, options?: WaitOptions): Promise<void> {
    return this.#execute(`delete vdpa device ${name}`, { kind: 'dev.del', name }, ignore, options);
  }

  /** Changes a vDPA device (VDPA_CMD_DEV_ATTR_SET). `vdpa dev set name NAME mac MACADDR` */
  setDevice(name: string, change: DeviceChange, options?: WaitOptions): Promise<void> {
    return this.#execute(`change vdpa device ${name}`, { kind: 'dev.attr.set', name, change }, ignore, options);
  }

  /** Passes on management devices one by one as the kernel sends them: all, or the one named. */
  eachManagementDevice(
    handle: string | undefined,
    onItem: (device: ManagementDevice) => void,
    options?: EachOptions,
  ): Promise<void> {
    const request: VdpaRequest = { kind: 'mgmtdev.get', ...(handle !== undefined && { handle }) };
    return this.#each('show management devices', request, decodeManagementDevice, onItem, options);
  }

  /** Passes on vDPA devices one by one; see {@link eachManagementDevice}. */
  eachDevice(name: string | undefined, onItem: (device: VdpaDevice) => void, options?: EachOptions): Promise<void> {
    const request: VdpaRequest = { kind: 'dev.get', ...(name !== undefined && { name }) };
    return this.#each('show vdpa devices', request, decodeDevice, onItem, options);
  }

  /**
   * Passes on configurations one by one; see {@link eachManagementDevice}. Without a name it is the kernel's list,
   * which ends at the first device that is neither net nor block; {@link deviceConfigs} returns all.
   */
  eachDeviceConfig(
    name: string | undefined,
    onItem: (config: DeviceConfig) => void,
    options?: EachOptions,
  ): Promise<void> {
    const request: VdpaRequest = { kind: 'dev.config.get', ...(name !== undefined && { name }) };
    return this.#each('show vdpa device configuration', request, decodeDeviceConfig, onItem, options);
  }

  /** Waits for running requests, except those whose signal is aborted, and closes the socket. */
  async close(): Promise<void> {
    await this.#socket.close();
  }

  /** As {@link close}, at the end of the block of `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #list<Item>(
    { signal, timeoutMs }: WaitOptions,
    keyOf: (item: Item) => string,
    each: (onItem: (item: Item) => void, options: EachOptions) => Promise<void>,
  ): Listing<Item> {
    return new Listing(
      (onItem, onRestart, ended) =>
        each(onItem, { onRestart, ...(timeoutMs !== undefined && { timeoutMs }), ...(ended && { signal: ended }) }),
      keyOf,
      signal,
    );
  }

  #each<T>(
    operation: string,
    request: VdpaRequest,
    decode: (attributes: AttributeList) => T,
    onItem: (item: T) => void,
    options?: EachOptions,
  ): Promise<void> {
    const onMessage = ({ attributes }: GenlMessage): void => {
      onItem(decode(attributes));
    };
    return this.#execute(operation, request, onMessage, options);
  }

  async #execute(
    operation: string,
    request: VdpaRequest,
    onMessage: (message: GenlMessage) => void,
    options?: EachOptions,
  ): Promise<void> {
    const { onWarning } = this.#options;
    const encoded = encodeRequest(request);
    try {
      await this.#socket.execute(this.#family, encoded, onMessage, {
        operation,
        ...options,
        ...(onWarning && { onWarning }),
      });
    } catch (error) {
      await explain(error, encoded.command, this.#family);
    }
  }
}

const ignore = (): void => undefined;

const handleOf = ({ handle }: ManagementDevice): string => handle;

const nameOf = ({ name }: { readonly name: string }): string => name;

/** Adds a hint to an error of the kernel that explains it. @throws NetlinkError */
async function explain(error: unknown, command: VdpaCommandNumber, family: GenlFamily): Promise<never> {
  if (!(error instanceof NetlinkError) || error.hint !== undefined) throw error;
  const { explainRefusal } = await import('./refusal.js');
  const { explainOlderKernel } = await import('./older-kernel.js');
  const hint = explainRefusal(error) ?? explainOlderKernel(error, command, family);
  throw hint === undefined ? error : error.withHint(hint);
}

/** The single object that was requested. */
async function only<T>(each: (onItem: (item: T) => void) => Promise<void>): Promise<T> {
  const items: T[] = [];
  await each((item) => items.push(item));
  const [item, second] = items;
  if (item === undefined || second !== undefined) {
    throw new NetlinkProtocolError(`the kernel sent ${items.length} answers, expected one`);
  }
  return item;
}
