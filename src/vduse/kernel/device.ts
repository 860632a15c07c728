import { readSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../../sys/clock.js';
import { Errno, nodeErrno } from '../../sys/errno.js';
import { ignoring, SystemError } from '../../sys/error.js';
import { ioctl } from '../../sys/ioctl.js';
import { close } from '../../sys/libc.js';
import { poll } from '../../sys/poll.js';
import { decodeRequest, encodeResponse, type Answer, type Request } from './messages.js';
import { devicePath } from './name.js';
import { O_NONBLOCK, O_RDWR, openFile } from '../../sys/open-file.js';
import * as uapi from './uapi.js';

/** A queue as set up by the driver. */
export interface QueueInfo {
  readonly ready: boolean;
  /** Number of descriptors. */
  readonly size: number;
  /** IOVAs. */
  readonly descriptorArea: bigint;
  readonly driverArea: bigint;
  readonly deviceArea: bigint;
  /** The state that the driver has set, of which one is valid: the available index of a split queue, */
  readonly split: { readonly available: number };
  /** or the places in a packed ring, with the wrap counter in bit 15. */
  readonly packed: { readonly available: number; readonly used: number };
}

/** A piece of the driver's memory and the file to map it from. */
export interface IotlbEntry {
  /** The caller closes it. */
  readonly fd: number;
  /** The offset of `start` in the file. */
  readonly offset: bigint;
  readonly start: bigint;
  readonly last: bigint;
  readonly readable: boolean;
  readonly writable: boolean;
}

/** Time in which udev gives a group access to a new node, and interval for trying, in milliseconds. */
const ACCESS_TIMEOUT_MS = 2_000;
const ACCESS_RETRY_MS = 10;

/** /dev/vduse/NAME: the file of a device for its server. Only one process at a time can have it open. */
export class VduseDevice {
  readonly fd: number;
  /** The API version agreed on when the instance was created. */
  readonly apiVersion: bigint;
  readonly #request = new Uint8Array(uapi.request.length);

  /** @throws DeviceNameError, SystemError: ENOENT if there is no such instance, EBUSY if it has a server */
  static open(name: string): VduseDevice {
    const fd = openFile(devicePath(name), O_RDWR | O_NONBLOCK, {
      [Errno.EBUSY]: 'It is served by another program',
      [Errno.ENOENT]: 'No VDUSE instance has this name',
      [Errno.EACCES]: 'Run as root, or let a rule of udev grant access to the node',
    });
    return new VduseDevice(fd, probeApiVersion(fd));
  }

  /** The same for an instance that was just created: until udev grants others access to its node, only root has it. */
  static async openNew(name: string): Promise<VduseDevice> {
    const end = monotonicMs() + ACCESS_TIMEOUT_MS;
    for (;;) {
      try {
        return VduseDevice.open(name);
      } catch (error) {
        const isDenied = error instanceof SystemError && error.errno === Errno.EACCES;
        if (!isDenied || monotonicMs() >= end) throw error;
      }
      await sleep(ACCESS_RETRY_MS);
    }
  }

  /** For another thread of the process that opened it. */
  constructor(fd: number, apiVersion: bigint) {
    this.fd = fd;
    this.apiVersion = apiVersion;
  }

  /** Whether the kernel has given up the device, because a request was not answered in time. */
  isBroken(): boolean {
    return poll(this.fd, 0, 0) === 1;
  }

  /** The next request of the kernel, or undefined if there is none. @throws SystemError */
  readRequest(): Request | undefined {
    try {
      readSync(this.fd, this.#request);
    } catch (error) {
      const errno = nodeErrno(error) ?? Errno.EIO;
      if (errno === Errno.EAGAIN || errno === Errno.EINTR) return undefined;
      throw new SystemError({ operation: 'read a VDUSE request', errno, cause: error });
    }
    return decodeRequest(this.#request, this.apiVersion);
  }

  /** Answers a request. A request that has timed out in the kernel needs no answer. @throws SystemError */
  respond(id: number, answer: Answer): void {
    try {
      writeSync(this.fd, encodeResponse(id, answer));
    } catch (error) {
      const errno = nodeErrno(error) ?? Errno.EIO;
      if (errno === Errno.ENOENT) return;
      throw new SystemError({ operation: 'answer a VDUSE request', errno, cause: error });
    }
  }

  /**
   * VDUSE_DEV_GET_FEATURES: the features that the driver accepted, possibly others than those offered: they must be
   * checked.
   */
  driverFeatures(): bigint {
    const word = new BigUint64Array(1);
    ioctl('read the negotiated features', this.fd, uapi.VDUSE_DEV_GET_FEATURES, new Uint8Array(word.buffer));
    return word[0] ?? 0n;
  }

  /** VDUSE_VQ_SETUP: required for each queue before the device is attached. */
  setUpQueue(index: number, maxSize: number): void {
    const bytes = new Uint8Array(uapi.queueConfig.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(uapi.queueConfig.index, index, true);
    view.setUint16(uapi.queueConfig.maxSize, maxSize, true);
    ioctl(`set up queue ${index}`, this.fd, uapi.VDUSE_VQ_SETUP, bytes);
  }

  /** VDUSE_VQ_GET_INFO. */
  queueInfo(index: number): QueueInfo {
    const { queueInfo } = uapi;
    const bytes = new Uint8Array(queueInfo.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(queueInfo.index, index, true);
    ioctl(`get the state of queue ${index}`, this.fd, uapi.VDUSE_VQ_GET_INFO, bytes);
    const place = (counter: number, at: number): number =>
      (view.getUint16(at, true) & 0x7fff) | ((view.getUint16(counter, true) & 1) << 15);
    return {
      ready: view.getUint8(queueInfo.ready) !== 0,
      size: view.getUint32(queueInfo.size, true),
      descriptorArea: view.getBigUint64(queueInfo.descriptorArea, true),
      driverArea: view.getBigUint64(queueInfo.driverArea, true),
      deviceArea: view.getBigUint64(queueInfo.deviceArea, true),
      split: { available: view.getUint16(queueInfo.split.availableIndex, true) },
      packed: {
        available: place(queueInfo.packed.lastAvailableCounter, queueInfo.packed.lastAvailableIndex),
        used: place(queueInfo.packed.lastUsedCounter, queueInfo.packed.lastUsedIndex),
      },
    };
  }

  /** VDUSE_VQ_SETUP_KICKFD: the eventfd for kicks of the driver. The kernel forgets it at every reset. */
  setKick(index: number, eventfd: number): void {
    const bytes = new Uint8Array(uapi.queueEventfd.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(uapi.queueEventfd.index, index, true);
    view.setInt32(uapi.queueEventfd.fd, eventfd, true);
    ioctl(`set the kick eventfd of queue ${index}`, this.fd, uapi.VDUSE_VQ_SETUP_KICKFD, bytes);
  }

  /** VDUSE_DEV_INJECT_CONFIG_IRQ. @throws SystemError: EINVAL while the driver does not run the device */
  interruptForConfig(): void {
    ioctl('inject the configuration interrupt', this.fd, uapi.VDUSE_DEV_INJECT_CONFIG_IRQ, new Uint8Array(8));
  }

  /**
   * The same if a driver runs the device: otherwise the driver reads the configuration when it starts. @throws
   * SystemError
   */
  notifyConfigChange(): void {
    // EPERM: the device is broken and no longer used.
    ignoring([Errno.EINVAL, Errno.EPERM], () => {
      this.interruptForConfig();
    });
  }

  /** VDUSE_DEV_SET_CONFIG: writes to the configuration space, from byte `offset` on. */
  setConfig(offset: number, data: Uint8Array): void {
    const bytes = new Uint8Array(uapi.configData.length + data.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(uapi.configData.offset, offset, true);
    view.setUint32(uapi.configData.size, data.length, true);
    bytes.set(data, uapi.configData.length);
    ioctl('write the configuration space', this.fd, uapi.VDUSE_DEV_SET_CONFIG, bytes);
  }

  /**
   * VDUSE_IOTLB_GET_FD and its second version: the first region that overlaps [start, last].
   * @returns undefined if nothing is mapped there
   */
  iotlbEntry(start: bigint, last: bigint, asid: number): IotlbEntry | undefined {
    const { iotlbEntry } = uapi;
    const second = this.apiVersion >= uapi.VDUSE_API_VERSION_1;
    const bytes = new Uint8Array(iotlbEntry.lengthV2);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(iotlbEntry.start, start, true);
    view.setBigUint64(iotlbEntry.last, last, true);
    if (second) view.setUint32(iotlbEntry.asid, asid, true);
    let fd: number;
    try {
      const request = second ? uapi.VDUSE_IOTLB_GET_FD2 : uapi.VDUSE_IOTLB_GET_FD;
      fd = ioctl('get guest memory', this.fd, request, bytes);
    } catch (error) {
      if (error instanceof SystemError && error.errno === Errno.EINVAL) return undefined;
      throw error;
    }
    const perm = view.getUint8(iotlbEntry.perm);
    return {
      fd,
      offset: view.getBigUint64(iotlbEntry.offset, true),
      start: view.getBigUint64(iotlbEntry.start, true),
      last: view.getBigUint64(iotlbEntry.last, true),
      readable: (perm & uapi.VDUSE_ACCESS_RO) !== 0,
      writable: (perm & uapi.VDUSE_ACCESS_WO) !== 0,
    };
  }

  close(): void {
    close(this.fd);
  }
}

/**
 * The API version that an instance was created with, which the kernel does not report: it supports the second lookup
 * only from version 1 on.
 */
function probeApiVersion(fd: number): bigint {
  const bytes = new Uint8Array(uapi.iotlbEntry.lengthV2);
  // An empty range is rejected with EINVAL before any lookup.
  new DataView(bytes.buffer).setBigUint64(uapi.iotlbEntry.start, 1n, true);
  try {
    ioctl('get the API version of a VDUSE instance', fd, uapi.VDUSE_IOTLB_GET_FD2, bytes);
  } catch (error) {
    if (error instanceof SystemError && error.errno === Errno.EINVAL) return uapi.VDUSE_API_VERSION_1;
    if (error instanceof SystemError && error.errno === Errno.ENOTTY) return uapi.VDUSE_API_VERSION;
    throw error;
  }
  return uapi.VDUSE_API_VERSION_1;
}
