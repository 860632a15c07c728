/**
 * /dev/vhost-vdpa-N, through which user programs drive devices of the vdpa bus. Mirrors include/uapi/linux/vhost.h and
 * vhost_types.h. Nothing is checked here: everything is passed to the kernel as is.
 */
import '../lab/inside.js';
import { constants, openSync, writeSync } from 'node:fs';
import { ftruncate, memfdCreate, MFD_CLOEXEC } from '../../../../src/sys/file.js';
import { io, ior, iow, iowr, ioctl } from '../../../../src/sys/ioctl.js';
import { checked, close } from '../../../../src/sys/libc.js';
import { MAP_SHARED, mapFile, PROT_READ, PROT_WRITE, unmap, viewMemory } from '../../../../src/sys/memory.js';

const VHOST = 0xaf;
const VHOST_GET_FEATURES = ior(VHOST, 0x00, 8);
const VHOST_SET_FEATURES = iow(VHOST, 0x00, 8);
const VHOST_SET_OWNER = io(VHOST, 0x01);
const VHOST_SET_VRING_NUM = iow(VHOST, 0x10, 8);
const VHOST_SET_VRING_ADDR = iow(VHOST, 0x11, 40);
const VHOST_SET_VRING_BASE = iow(VHOST, 0x12, 8);
const VHOST_GET_VRING_BASE = iowr(VHOST, 0x12, 8);
const VHOST_SET_VRING_KICK = iow(VHOST, 0x20, 8);
const VHOST_SET_VRING_CALL = iow(VHOST, 0x21, 8);
const VHOST_SET_BACKEND_FEATURES = iow(VHOST, 0x25, 8);
const VHOST_GET_BACKEND_FEATURES = ior(VHOST, 0x26, 8);
const VHOST_VDPA_GET_DEVICE_ID = ior(VHOST, 0x70, 4);
const VHOST_VDPA_GET_STATUS = ior(VHOST, 0x71, 1);
const VHOST_VDPA_SET_STATUS = iow(VHOST, 0x72, 1);
const VHOST_VDPA_GET_CONFIG = ior(VHOST, 0x73, 8);
const VHOST_VDPA_SET_CONFIG = iow(VHOST, 0x74, 8);
const VHOST_VDPA_SET_VRING_ENABLE = iow(VHOST, 0x75, 8);
const VHOST_VDPA_GET_VRING_NUM = ior(VHOST, 0x76, 2);
const VHOST_VDPA_SET_CONFIG_CALL = iow(VHOST, 0x77, 4);
const VHOST_VDPA_GET_IOVA_RANGE = ior(VHOST, 0x78, 16);
const VHOST_VDPA_GET_CONFIG_SIZE = ior(VHOST, 0x79, 4);
const VHOST_VDPA_SUSPEND = io(VHOST, 0x7d);

/** VHOST_BACKEND_F_IOTLB_MSG_V2, IOTLB_BATCH, IOTLB_ASID and SUSPEND. */
const BACKEND_FEATURES = (1n << 1n) | (1n << 2n) | (1n << 3n) | (1n << 4n);
/** VHOST_BACKEND_F_IOTLB_MSG_V2, which every device supports, whatever its server. */
export const LEAST_BACKEND_FEATURES = 1n << 1n;

const VHOST_IOTLB_MSG_V2 = 2;
const VHOST_IOTLB_UPDATE = 2;
const VHOST_IOTLB_INVALIDATE = 3;

export const VHOST_ACCESS_RO = 1;
export const VHOST_ACCESS_WO = 2;
export const VHOST_ACCESS_RW = 3;

/** Memory of a driver: a memory file, mapped by this process and by the device. */
export class DriverMemory {
  readonly fd: number;
  readonly address: number;
  readonly length: number;
  readonly buffer: ArrayBuffer;
  readonly u8: Uint8Array;

  /**
   * @param mapped how much is mapped here, which may be more than the file has
   * @param flags of memfd_create(2), as MFD_HUGETLB
   */
  constructor(length: number, mapped = length, flags = 0) {
    this.length = mapped;
    this.fd = checked('create a memory file', memfdCreate('driver', MFD_CLOEXEC | flags));
    checked('size it', ftruncate(this.fd, length));
    this.address = mapFile('map it', this.fd, mapped, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
    this.buffer = viewMemory(this.address, mapped);
    this.u8 = new Uint8Array(this.buffer);
  }

  truncate(length: number): void {
    checked('cut a memory file', ftruncate(this.fd, length));
  }

  free(): void {
    unmap('unmap it', this.address, this.length);
    close(this.fd);
  }
}

/** An open vhost-vdpa node. */
export class VhostVdpa {
  readonly #fd: number;

  /**
   * Opening it resets the device.
   * @param backendFeatures what is negotiated with the kernel, or `later`; by default what is known here and offered, which is
   * less on older kernels
   */
  constructor(node: string, backendFeatures?: bigint | 'later') {
    this.#fd = openSync(node, constants.O_RDWR | constants.O_NONBLOCK);
    try {
      this.#call('own', VHOST_SET_OWNER, new Uint8Array(8));
      if (backendFeatures === 'later') return;
      this.setBackendFeatures(backendFeatures ?? BACKEND_FEATURES & this.backendFeatures());
    } catch (error) {
      // Deleting a device waits until its node is closed.
      this.close();
      throw error;
    }
  }

  #call(what: string, request: number, bytes: Uint8Array): number {
    return ioctl(`vhost-vdpa: ${what}`, this.#fd, request, bytes);
  }

  #setU64(what: string, request: number, value: bigint): void {
    this.#call(what, request, new Uint8Array(BigUint64Array.of(value).buffer));
  }

  #setPair(what: string, request: number, first: number, second: number): Uint32Array {
    const words = Uint32Array.of(first, second);
    this.#call(what, request, new Uint8Array(words.buffer));
    return words;
  }

  #getU64(what: string, request: number): bigint {
    const word = new BigUint64Array(1);
    this.#call(what, request, new Uint8Array(word.buffer));
    return word[0] ?? 0n;
  }

  #getU32(what: string, request: number): number {
    const word = new Uint32Array(1);
    this.#call(what, request, new Uint8Array(word.buffer));
    return word[0] ?? 0;
  }

  features(): bigint {
    return this.#getU64('features', VHOST_GET_FEATURES);
  }

  backendFeatures(): bigint {
    return this.#getU64('get backend features', VHOST_GET_BACKEND_FEATURES);
  }

  setBackendFeatures(features: bigint): void {
    this.#setU64('backend features', VHOST_SET_BACKEND_FEATURES, features);
  }

  deviceId(): number {
    return this.#getU32('device id', VHOST_VDPA_GET_DEVICE_ID);
  }

  /** The maximum size of a queue. */
  largestQueue(): number {
    const word = new Uint16Array(1);
    this.#call('largest queue', VHOST_VDPA_GET_VRING_NUM, new Uint8Array(word.buffer));
    return word[0] ?? 0;
  }

  /** The addresses at which memory may be mapped, including the last one. */
  iovaRange(): { readonly first: bigint; readonly last: bigint } {
    const words = new BigUint64Array(2);
    this.#call('IOVA range', VHOST_VDPA_GET_IOVA_RANGE, new Uint8Array(words.buffer));
    return { first: words[0] ?? 0n, last: words[1] ?? 0n };
  }

  setFeatures(features: bigint): void {
    this.#setU64('set features', VHOST_SET_FEATURES, features);
  }

  get status(): number {
    const bytes = new Uint8Array(1);
    this.#call('status', VHOST_VDPA_GET_STATUS, bytes);
    return bytes[0] ?? 0;
  }

  set status(status: number) {
    this.#call('set status', VHOST_VDPA_SET_STATUS, Uint8Array.of(status));
  }

  configSize(): number {
    return this.#getU32('size of the configuration', VHOST_VDPA_GET_CONFIG_SIZE);
  }

  config(offset: number, length: number): Uint8Array {
    return this.#config('configuration', VHOST_VDPA_GET_CONFIG, offset, new Uint8Array(length));
  }

  setConfig(offset: number, config: Uint8Array): void {
    this.#config('set configuration', VHOST_VDPA_SET_CONFIG, offset, config);
  }

  #config(what: string, request: number, offset: number, config: Uint8Array): Uint8Array {
    const bytes = new Uint8Array(8 + config.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, offset, true);
    view.setUint32(4, config.length, true);
    bytes.set(config, 8);
    this.#call(what, request, bytes);
    return bytes.subarray(8);
  }

  setQueueSize(index: number, size: number): void {
    this.#setPair('queue size', VHOST_SET_VRING_NUM, index, size);
  }

  setQueueAddress(
    index: number,
    descriptors: number | bigint,
    available: number | bigint,
    used: number | bigint,
  ): void {
    const view = new DataView(new ArrayBuffer(40));
    view.setUint32(0, index, true);
    view.setBigUint64(8, BigInt(descriptors), true);
    view.setBigUint64(16, BigInt(used), true);
    view.setBigUint64(24, BigInt(available), true);
    this.#call('queue address', VHOST_SET_VRING_ADDR, new Uint8Array(view.buffer));
  }

  setQueueBase(index: number, availableIndex: number): void {
    this.#setPair('queue base', VHOST_SET_VRING_BASE, index, availableIndex);
  }

  /** The available index at which the device continues. */
  queueBase(index: number): number {
    return this.#setPair('get queue base', VHOST_GET_VRING_BASE, index, 0)[1] ?? 0;
  }

  enable(index: number, on: boolean): void {
    this.#setPair('enable a queue', VHOST_VDPA_SET_VRING_ENABLE, index, on ? 1 : 0);
  }

  setKick(index: number, eventfd: number): void {
    this.#setPair('kick', VHOST_SET_VRING_KICK, index, eventfd);
  }

  setCall(index: number, eventfd: number): void {
    this.#setPair('call', VHOST_SET_VRING_CALL, index, eventfd);
  }

  setConfigCall(eventfd: number): void {
    this.#call('config call', VHOST_VDPA_SET_CONFIG_CALL, new Uint8Array(Uint32Array.of(eventfd).buffer));
  }

  suspend(): void {
    this.#call('suspend', VHOST_VDPA_SUSPEND, new Uint8Array(8));
  }

  /** Maps memory of this process for the device. */
  map(iova: number | bigint, size: number | bigint, address: number, access = VHOST_ACCESS_RW): void {
    this.#iotlb(VHOST_IOTLB_UPDATE, iova, size, address, access);
  }

  unmap(iova: number | bigint, size: number | bigint): void {
    this.#iotlb(VHOST_IOTLB_INVALIDATE, iova, size, 0, 0);
  }

  #iotlb(type: number, iova: number | bigint, size: number | bigint, address: number, access: number): void {
    const view = new DataView(new ArrayBuffer(72));
    view.setUint32(0, VHOST_IOTLB_MSG_V2, true);
    view.setBigUint64(8, BigInt(iova), true);
    view.setBigUint64(16, BigInt(size), true);
    view.setBigUint64(24, BigInt(address), true);
    view.setUint8(32, access);
    view.setUint8(33, type);
    writeSync(this.#fd, new Uint8Array(view.buffer));
  }

  close(): void {
    close(this.#fd);
  }
}
