import { close } from '../../sys/libc.js';
import { Errno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';
import { ioctl } from '../../sys/ioctl.js';
import { VIRTIO_ID_NET } from '../../virtio/ids.js';
import { checkDeviceName } from './name.js';
import { O_RDWR, openFile } from '../../sys/open-file.js';
import * as uapi from './uapi.js';

/** The driver-visible properties of a device. */
export interface DeviceIdentity {
  /**
   * virtio device id: the kernel accepts those of block and net devices (and of file systems, which it then cannot
   * attach).
   */
  readonly deviceId: number;
  readonly vendorId: number;
  /** virtio feature bits; VIRTIO_F_ACCESS_PLATFORM must be among them. */
  readonly features: bigint;
  /** The configuration space, at most one page. Drivers can only read it. */
  readonly config: Uint8Array;
  readonly queueCount: number;
  /** Maximum number of descriptors of each queue. */
  readonly queueSize: number;
}

/** Alignment of the rings of drivers. */
const QUEUE_ALIGN = 4096;

/** /dev/vduse/control, which creates and destroys instances. */
export class VduseControl {
  readonly #fd: number;
  /** The API version agreed with the kernel: the newest that both support. */
  readonly apiVersion: bigint;
  /** VDUSE_F_ bits that both support. */
  readonly features: bigint;

  /** @throws SystemError */
  constructor() {
    this.#fd = openFile('/dev/vduse/control', O_RDWR, {
      [Errno.ENOENT]: 'This kernel does not support VDUSE: try "modprobe vduse", or build it with CONFIG_VDPA_USER',
      [Errno.EACCES]: 'Run as root, or grant access to the node',
      [Errno.EPERM]: 'Run as root, or grant access to the node',
    });
    try {
      this.apiVersion = this.#agreeOnVersion();
      this.features = this.#agreeOnFeatures();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #agreeOnVersion(): bigint {
    const word = new BigUint64Array(1);
    const bytes = new Uint8Array(word.buffer);
    ioctl('get the VDUSE API version', this.#fd, uapi.VDUSE_GET_API_VERSION, bytes);
    const [kernel = uapi.VDUSE_API_VERSION] = word;
    word[0] = kernel < uapi.VDUSE_API_VERSION_1 ? kernel : uapi.VDUSE_API_VERSION_1;
    ioctl('set the VDUSE API version', this.#fd, uapi.VDUSE_SET_API_VERSION, bytes);
    return word[0];
  }

  #agreeOnFeatures(): bigint {
    const word = new BigUint64Array(1);
    const bytes = new Uint8Array(word.buffer);
    try {
      ioctl('get the VDUSE features', this.#fd, uapi.VDUSE_GET_FEATURES, bytes);
    } catch (error) {
      // Kernels older than these features do not have this request.
      if (error instanceof SystemError && error.errno === Errno.EINVAL) return 0n;
      throw error;
    }
    const known = (1n << uapi.VDUSE_F_QUEUE_READY) | (1n << uapi.VDUSE_F_SUSPEND);
    word[0] = (word[0] ?? 0n) & known;
    ioctl('set the VDUSE features', this.#fd, uapi.VDUSE_SET_FEATURES, bytes);
    return word[0];
  }

  /**
   * VDUSE_CREATE_DEV: creates an instance and its node /dev/vduse/NAME.
   * @throws DeviceNameError, SystemError: EEXIST if the name exists, EPERM for a net device without CAP_NET_ADMIN,
   * EINVAL if the kernel does not support the type, as Linux 6.1 does not support net devices
   */
  create(name: string, identity: DeviceIdentity): void {
    const { deviceConfig } = uapi;
    const bytes = new Uint8Array(deviceConfig.length + identity.config.length);
    const view = new DataView(bytes.buffer);
    bytes.set(Buffer.from(checkDeviceName(name)), deviceConfig.name);
    view.setUint32(deviceConfig.vendorId, identity.vendorId, true);
    view.setUint32(deviceConfig.deviceId, identity.deviceId, true);
    view.setBigUint64(deviceConfig.features, identity.features, true);
    view.setUint32(deviceConfig.queueCount, identity.queueCount, true);
    view.setUint32(deviceConfig.queueAlign, QUEUE_ALIGN, true);
    const spaces = this.apiVersion >= uapi.VDUSE_API_VERSION_1 ? 1 : 0;
    view.setUint32(deviceConfig.groupCount, spaces, true);
    view.setUint32(deviceConfig.addressSpaceCount, spaces, true);
    view.setUint32(deviceConfig.configSize, identity.config.length, true);
    bytes.set(identity.config, deviceConfig.length);
    try {
      ioctl(`create the VDUSE instance ${name}`, this.#fd, uapi.VDUSE_CREATE_DEV, bytes);
    } catch (error) {
      throw identity.deviceId === VIRTIO_ID_NET ? withClassHint(error) : error;
    }
  }

  /**
   * VDUSE_DESTROY_DEV.
   * @throws DeviceNameError, SystemError: EBUSY while it is attached to the vdpa bus or its file is open, EINVAL if it
   * does not exist
   */
  destroy(name: string): void {
    const bytes = new Uint8Array(uapi.VDUSE_NAME_MAX);
    bytes.set(Buffer.from(checkDeviceName(name)));
    ioctl(`destroy the VDUSE instance ${name}`, this.#fd, uapi.VDUSE_DESTROY_DEV, bytes);
  }

  close(): void {
    close(this.#fd);
  }
}

/** Older kernels reject a net device with the error of an invalid request. */
function withClassHint(error: unknown): unknown {
  if (!(error instanceof SystemError) || error.errno !== Errno.EINVAL) return error;
  const { operation, errno } = error;
  const hint = 'Network devices of VDUSE are not supported by this kernel: Linux 6.12 has them';
  return new SystemError({ operation, errno, hint, cause: error });
}
