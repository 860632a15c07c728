import { ftruncate, memfdCreate, MFD_CLOEXEC, MFD_HUGETLB } from '../sys/file.js';
import { checked, close } from '../sys/libc.js';
import { MAP_SHARED, mapFile, PROT_READ, PROT_WRITE, tryUnmap, unmap, viewMemory } from '../sys/memory.js';

/** Options of {@link DriverMemory}. */
export interface DriverMemoryOptions {
  /** On huge pages of the machine's default size, of which the length must be a multiple. */
  readonly hugePages?: boolean;
  /** How much of the address space to map, in bytes: more than `length` leaves a part without memory. */
  readonly mapped?: number;
}

/** Memory of a driver: a memory file (memfd_create(2)), mapped by this process, which {@link VhostVdpa.map} shares. */
export class DriverMemory {
  readonly fd: number;
  readonly address: number;
  /** In bytes, with what has no memory. */
  readonly length: number;
  readonly buffer: ArrayBuffer;
  readonly u8: Uint8Array;

  /**
   * @param length in bytes
   * @throws SystemError ENOMEM if there are not enough huge pages (/proc/sys/vm/nr_hugepages)
   */
  constructor(length: number, { hugePages = false, mapped = length }: DriverMemoryOptions = {}) {
    this.length = mapped;
    this.fd = checked('create a memory file', memfdCreate('driver', MFD_CLOEXEC | (hugePages ? MFD_HUGETLB : 0)));
    let address: number | undefined;
    try {
      checked('size a memory file', ftruncate(this.fd, length));
      address = mapFile('map a memory file', this.fd, mapped, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
      this.buffer = viewMemory(address, mapped);
    } catch (error) {
      if (address !== undefined) tryUnmap(address, mapped);
      close(this.fd);
      throw error;
    }
    this.address = address;
    this.u8 = new Uint8Array(this.buffer);
  }

  /** Changes the length of the file: of memory that is cut off nothing is left, for this process and the device. */
  truncate(length: number): void {
    checked('cut a memory file', ftruncate(this.fd, length));
  }

  /** Frees the memory. The views must not be used afterwards. */
  free(): void {
    unmap('unmap a memory file', this.address, this.length);
    close(this.fd);
  }
}
