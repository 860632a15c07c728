import { writeSync } from 'node:fs';
import { Errno, nodeErrno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';
import { ioctl } from '../sys/ioctl.js';
import { close } from '../sys/libc.js';
import { O_NOFOLLOW, O_NONBLOCK, O_RDWR, openFile } from '../sys/open-file.js';
import { Structure } from '../sys/structure.js';
import { encodeIotlbMessage, type IotlbMessage } from './iotlb.js';
import * as uapi from './uapi.js';

/** Options of {@link VhostVdpa}. */
export interface VhostVdpaOptions {
  /**
   * The backend features to agree on, a mask: by default all that the kernel offers. `later` leaves that to
   * {@link VhostVdpa.setBackendFeatures}.
   */
  readonly backendFeatures?: bigint | 'later';
}

/** The addresses at which memory may be mapped, both included. */
export interface IovaLimits {
  readonly first: bigint;
  readonly last: bigint;
}

const openHints: Readonly<Partial<Record<number, string>>> = {
  [Errno.EBUSY]: 'Another process has it open: only one may',
  [Errno.EACCES]: 'Run as root, or grant access to the node',
  [Errno.ENOENT]: 'Bind the device first: "vdpa dev bind DEV driver vhost"',
};

/**
 * An open /dev/vhost-vdpa-N, through which a program drives a device of the vdpa bus: drivers/vhost/vdpa.c.
 *
 * Nothing is checked here: everything is passed to the kernel as it is. Opening and closing reset the device. Every
 * method throws SystemError: ENOBUFS for a queue that the device does not have, EOPNOTSUPP for what it does not
 * support, ENOTTY for a request that is newer than the
 * kernel.
 */
export class VhostVdpa {
  readonly node: string;
  readonly fd: number;
  #agreed = 0n;

  /**
   * Opens a node and becomes its owner.
   * @param node `/dev/vhost-vdpa-0`
   * @throws SystemError EBUSY if it is open already
   */
  constructor(node: string, { backendFeatures }: VhostVdpaOptions = {}) {
    this.node = node;
    this.fd = openFile(node, O_RDWR | O_NONBLOCK | O_NOFOLLOW, openHints);
    try {
      this.#plain('own', uapi.VHOST_SET_OWNER);
      if (backendFeatures !== 'later') this.setBackendFeatures(backendFeatures ?? this.backendFeatures());
    } catch (error) {
      // Deleting a device waits until its node is closed.
      this.close();
      throw error;
    }
  }

  /** The features that the device offers (VHOST_GET_FEATURES), a mask. */
  features(): bigint {
    return this.#read('read the features of', uapi.VHOST_GET_FEATURES, 8).readU64(0);
  }

  /** The features that the driver accepts (VHOST_SET_FEATURES). @throws SystemError EBUSY after FEATURES_OK */
  setFeatures(features: bigint): void {
    this.#call('set the features of', uapi.VHOST_SET_FEATURES, new Structure(8).u64(0, features));
  }

  /** What the kernel's side of the node can do (VHOST_GET_BACKEND_FEATURES): a mask of VHOST_BACKEND_F_*. */
  backendFeatures(): bigint {
    return this.#read('read the backend features of', uapi.VHOST_GET_BACKEND_FEATURES, 8).readU64(0);
  }

  /** Agrees on some of these (VHOST_SET_BACKEND_FEATURES). */
  setBackendFeatures(features: bigint): void {
    this.#call('set the backend features of', uapi.VHOST_SET_BACKEND_FEATURES, new Structure(8).u64(0, features));
    this.#agreed = features;
  }

  /** Whether a backend feature, VHOST_BACKEND_F_*, was agreed on. */
  hasAgreed(bit: bigint): boolean {
    return ((this.#agreed >> bit) & 1n) === 1n;
  }

  /** The virtio device id: 1 for net, 2 for block. */
  deviceId(): number {
    return this.#read('read the device id of', uapi.VHOST_VDPA_GET_DEVICE_ID, 4).readU32(0);
  }

  /** The device status: VIRTIO_CONFIG_S_*. */
  get status(): number {
    return this.#read('read the status of', uapi.VHOST_VDPA_GET_STATUS, 1).readU8(0);
  }

  /** 0 resets the device. @throws SystemError EINVAL for a status that takes bits back, without a reset */
  set status(status: number) {
    this.#call('set the status of', uapi.VHOST_VDPA_SET_STATUS, new Structure(1).u8(0, status));
  }

  /** The size of the configuration space, in bytes. */
  configSize(): number {
    return this.#read('read the configuration size of', uapi.VHOST_VDPA_GET_CONFIG_SIZE, 4).readU32(0);
  }

  /** Reads a part of the configuration space. @throws SystemError EINVAL, E2BIG past its end */
  config(offset: number, length: number): Uint8Array {
    const argument = new Structure(8 + length).u32(0, offset).u32(4, length);
    this.#call('read the configuration of', uapi.VHOST_VDPA_GET_CONFIG, argument);
    return argument.bytes.subarray(8);
  }

  /** Writes a part of it. */
  setConfig(offset: number, config: Uint8Array): void {
    const argument = new Structure(8 + config.length).u32(0, offset).u32(4, config.length);
    argument.bytes.set(config, 8);
    this.#call('write the configuration of', uapi.VHOST_VDPA_SET_CONFIG, argument);
  }

  /** The eventfd that is signalled when the configuration changes; VHOST_FILE_UNBIND for none. */
  setConfigCall(eventfd: number): void {
    const argument = new Structure(4).s32(0, eventfd);
    this.#call('watch the configuration of', uapi.VHOST_VDPA_SET_CONFIG_CALL, argument);
  }

  /** The number of virtqueues (VHOST_VDPA_GET_VQS_COUNT). */
  queueCount(): number {
    return this.#read('count the queues of', uapi.VHOST_VDPA_GET_VQS_COUNT, 4).readU32(0);
  }

  /** The largest size of any queue, in descriptors. */
  largestQueue(): number {
    return this.#read('read the queue size of', uapi.VHOST_VDPA_GET_VRING_NUM, 2).readU16(0);
  }

  /** The largest size of one queue (VHOST_VDPA_GET_VRING_SIZE). @throws SystemError EOPNOTSUPP */
  queueSizeLimit(index: number): number {
    return this.#ask('read the queue size of', uapi.VHOST_VDPA_GET_VRING_SIZE, index);
  }

  /** Sets the size of a queue. @throws SystemError EINVAL if it is no power of two, or too large */
  setQueueSize(index: number, size: number): void {
    this.#setQueue('set the queue size of', uapi.VHOST_SET_VRING_NUM, index, size);
  }

  /**
   * The IOVAs of the parts of a queue: descriptor table, available ring and used ring, or of a packed queue its ring,
   * the driver's and the device's event suppression.
   */
  setQueueAddress(
    index: number,
    descriptors: number | bigint,
    available: number | bigint,
    used: number | bigint,
  ): void {
    const argument = new Structure(40)
      .u32(0, index)
      .u64(8, BigInt(descriptors))
      .u64(16, BigInt(used))
      .u64(24, BigInt(available));
    this.#call('set the queue addresses of', uapi.VHOST_SET_VRING_ADDR, argument);
  }

  /**
   * Where a queue continues (VHOST_SET_VRING_BASE): of a split queue its available index; of a packed one its place
   * with the wrap counter in bit 15, and in the upper half the same of the used descriptors.
   */
  setQueueBase(index: number, base: number): void {
    this.#setQueue('set the queue state of', uapi.VHOST_SET_VRING_BASE, index, base);
  }

  /** The same as the device reports it. It is certain only while the device is suspended. */
  queueBase(index: number): number {
    return this.#ask('read the queue state of', uapi.VHOST_GET_VRING_BASE, index);
  }

  /** Lets the device use a queue, or not. */
  enable(index: number, on: boolean): void {
    this.#setQueue('enable a queue of', uapi.VHOST_VDPA_SET_VRING_ENABLE, index, on ? 1 : 0);
  }

  /** The eventfd with which the driver kicks; VHOST_FILE_UNBIND for none. */
  setKick(index: number, eventfd: number): void {
    this.#setQueueFile('set the kick of', uapi.VHOST_SET_VRING_KICK, index, eventfd);
  }

  /** The eventfd that the device signals instead of an interrupt; VHOST_FILE_UNBIND for none. */
  setCall(index: number, eventfd: number): void {
    this.#setQueueFile('set the interrupt of', uapi.VHOST_SET_VRING_CALL, index, eventfd);
  }

  /** The eventfd that is signalled after an error of a queue; VHOST_FILE_UNBIND for none. */
  setError(index: number, eventfd: number): void {
    this.#setQueueFile('set the error event of', uapi.VHOST_SET_VRING_ERR, index, eventfd);
  }

  /** The number of groups of queues, each of which has one address space (VHOST_VDPA_GET_GROUP_NUM). */
  groupCount(): number {
    return this.#read('count the queue groups of', uapi.VHOST_VDPA_GET_GROUP_NUM, 4).readU32(0);
  }

  /** The number of address spaces (VHOST_VDPA_GET_AS_NUM). */
  addressSpaceCount(): number {
    return this.#read('count the address spaces of', uapi.VHOST_VDPA_GET_AS_NUM, 4).readU32(0);
  }

  /** The group of a queue. @throws SystemError EOPNOTSUPP if the device has no groups */
  groupOf(index: number): number {
    return this.#ask('read the queue group of', uapi.VHOST_VDPA_GET_VRING_GROUP, index);
  }

  /** The group of the rings of a queue, if it is not that of its buffers (VHOST_BACKEND_F_DESC_ASID). */
  descriptorGroupOf(index: number): number {
    return this.#ask('read the descriptor group of', uapi.VHOST_VDPA_GET_VRING_DESC_GROUP, index);
  }

  /** Gives a group an address space. @throws SystemError EINVAL for one that is not there; EBUSY after DRIVER_OK */
  setGroupAddressSpace(group: number, asid: number): void {
    this.#setQueue('set an address space of', uapi.VHOST_VDPA_SET_GROUP_ASID, group, asid);
  }

  /** Where memory may be mapped. */
  iovaRange(): IovaLimits {
    const answer = this.#read('read the IOVA range of', uapi.VHOST_VDPA_GET_IOVA_RANGE, 16);
    return { first: answer.readU64(0), last: answer.readU64(8) };
  }

  /** Stops the device: it takes no further requests, and keeps its state. @throws SystemError EOPNOTSUPP */
  suspend(): void {
    this.#plain('suspend', uapi.VHOST_VDPA_SUSPEND);
  }

  /** Lets it continue. @throws SystemError EOPNOTSUPP */
  resume(): void {
    this.#plain('resume', uapi.VHOST_VDPA_RESUME);
  }

  /**
   * Maps memory of this process for the device.
   * @param size in bytes
   * @param access VHOST_ACCESS_RO, VHOST_ACCESS_WO or VHOST_ACCESS_RW
   * @param asid the address space
   * @throws SystemError EEXIST if something is mapped there; EINVAL outside of {@link iovaRange}
   */
  map(
    iova: number | bigint,
    size: number | bigint,
    address: number,
    access: number = uapi.VHOST_ACCESS_RW,
    asid = 0,
  ): void {
    const [start, length] = [BigInt(iova), BigInt(size)];
    this.send({ kind: 'update', iova: start, size: length, address: BigInt(address), access }, asid);
  }

  /** Unmaps all that is mapped there. */
  unmap(iova: number | bigint, size: number | bigint, asid = 0): void {
    this.send({ kind: 'invalidate', iova: BigInt(iova), size: BigInt(size) }, asid);
  }

  /** Makes changes of an address space at once: the device sees them when `change` has returned. */
  batch(change: () => void, asid = 0): void {
    this.send({ kind: 'batch begin' }, asid);
    try {
      change();
    } finally {
      this.send({ kind: 'batch end' }, asid);
    }
  }

  /** Writes a message to the node. */
  send(message: IotlbMessage, asid = 0): void {
    try {
      writeSync(this.fd, encodeIotlbMessage(message, asid));
    } catch (cause) {
      const errno = nodeErrno(cause) ?? Errno.EIO;
      throw new SystemError({ operation: `${message.kind} the IOTLB of ${this.node}`, errno, cause });
    }
  }

  /** Closes the node. It must not be used afterwards. */
  close(): void {
    close(this.fd);
  }

  #call(what: string, request: number, argument: Structure): Structure {
    ioctl(`${what} ${this.node}`, this.fd, request, argument.bytes);
    return argument;
  }

  /** A request without an argument: the kernel does not look at it. */
  #plain(what: string, request: number): void {
    this.#call(what, request, new Structure(8));
  }

  #read(what: string, request: number, size: number): Structure {
    return this.#call(what, request, new Structure(size));
  }

  #setQueue(what: string, request: number, index: number, value: number): void {
    this.#call(what, request, new Structure(8).u32(0, index).u32(4, value));
  }

  #setQueueFile(what: string, request: number, index: number, fd: number): void {
    this.#call(what, request, new Structure(8).u32(0, index).s32(4, fd));
  }

  #ask(what: string, request: number, index: number): number {
    return this.#call(what, request, new Structure(8).u32(0, index)).readU32(4);
  }
}
