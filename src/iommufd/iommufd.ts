import { closeSync, openSync } from 'node:fs';
import { Errno, nodeErrno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';
import { ioctl } from '../sys/ioctl.js';
import { Ioas, toIoasId, type IommufdCall } from './ioas.js';
import { SizedStructure } from './structure.js';
import * as uapi from './uapi.js';

/** Whose RLIMIT_MEMLOCK applies to pinned memory. */
export type RlimitMode = 'user' | 'process';

/**
 * An open /dev/iommu: I/O address spaces and their mappings, for devices that user space drives (VFIO, and VDUSE
 * servers that pass memory on). Documentation/userspace-api/iommufd.rst describes it.
 *
 * All objects in it are destroyed when it is closed. Every method throws SystemError: ENOENT for an object that does
 * not exist, EBUSY for one in use, EOPNOTSUPP for operations that this kernel does not support, ENOTTY for a request
 * that is newer than the kernel.
 */
export class Iommufd {
  /** The file descriptor, for VFIO (VFIO_DEVICE_BIND_IOMMUFD). */
  readonly fd: number;
  #open = true;

  readonly #ioctl: IommufdCall = (operation, request, argument) => {
    ioctl(operation, this.fd, request, argument);
  };

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** Opens /dev/iommu. @throws SystemError ENOENT if the kernel does not support it; EACCES */
  static open(path = '/dev/iommu'): Iommufd {
    try {
      return new Iommufd(openSync(path, 'r+'));
    } catch (cause) {
      const errno = nodeErrno(cause);
      if (errno === undefined) throw cause;
      const hint = openHints[errno];
      throw new SystemError({ operation: `open ${path}`, errno, cause, ...(hint !== undefined && { hint }) });
    }
  }

  /** Creates an empty I/O address space (IOMMU_IOAS_ALLOC). */
  allocateIoas(): Ioas {
    const argument = new SizedStructure(12);
    this.#ioctl('allocate an I/O address space', uapi.IOMMU_IOAS_ALLOC, argument.bytes);
    return new Ioas(this.#ioctl, toIoasId(argument.readU32(8)));
  }

  /**
   * How pinned memory is accounted: for all processes of the user together, or for each process
   * (IOMMU_OPTION_RLIMIT_MODE).
   */
  get rlimitMode(): RlimitMode {
    const argument = this.#rlimitOption(uapi.IOMMU_OPTION_OP_GET, 0n);
    return argument.readU64(16) === 0n ? 'user' : 'process';
  }

  /**
   * Requires CAP_SYS_RESOURCE.
   * @throws SystemError EPERM without it; EBUSY once there is an object, and on kernels that count one from the start
   */
  set rlimitMode(mode: RlimitMode) {
    this.#rlimitOption(uapi.IOMMU_OPTION_OP_SET, mode === 'process' ? 1n : 0n);
  }

  /** The address space that old VFIO programs use; undefined if there is none yet (IOMMU_VFIO_IOAS_GET). */
  get vfioIoas(): Ioas | undefined {
    const argument = new SizedStructure(12).u16(8, uapi.IOMMU_VFIO_IOAS_GET);
    try {
      this.#ioctl('get the VFIO compatibility address space', uapi.IOMMU_VFIO_IOAS, argument.bytes);
    } catch (error) {
      if (error instanceof SystemError && error.errno === Errno.ENODEV) return undefined;
      throw error;
    }
    return new Ioas(this.#ioctl, toIoasId(argument.readU32(4)));
  }

  /** Sets it (IOMMU_VFIO_IOAS_SET), or unsets it (IOMMU_VFIO_IOAS_CLEAR), which destroys nothing. */
  set vfioIoas(ioas: Ioas | undefined) {
    const argument = new SizedStructure(12);
    if (ioas === undefined) argument.u16(8, uapi.IOMMU_VFIO_IOAS_CLEAR);
    else argument.u32(4, ioas.id).u16(8, uapi.IOMMU_VFIO_IOAS_SET);
    this.#ioctl('set the VFIO compatibility address space', uapi.IOMMU_VFIO_IOAS, argument.bytes);
  }

  /** Closes the file and destroys everything created through it. Calling it again does nothing. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.fd);
  }

  /** As {@link close}, at the end of the block of `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #rlimitOption(operation: number, value: bigint): SizedStructure {
    const argument = new SizedStructure(24).u32(4, uapi.IOMMU_OPTION_RLIMIT_MODE).u16(8, operation).u64(16, value);
    this.#ioctl('the rlimit mode of iommufd', uapi.IOMMU_OPTION, argument.bytes);
    return argument;
  }
}

const openHints: Readonly<Partial<Record<number, string>>> = {
  [Errno.ENOENT]: 'This kernel does not support iommufd: try "modprobe iommufd", or build it with CONFIG_IOMMUFD',
  [Errno.EACCES]: 'Run as root, or grant access to the node',
  [Errno.EPERM]: 'Run as root, or grant access to the node',
};
