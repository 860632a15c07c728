import { Errno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';
import { ioctlNumber } from '../../sys/ioctl.js';
import { lastErrno } from '../../sys/libc.js';
import { NativeBuffer } from '../../sys/memory.js';
import { VDUSE_VQ_INJECT_IRQ } from './uapi.js';

/**
 * The result of an interrupt: `sent`; `pending` if it is not possible now and must be tried again; `unwanted` if the
 * driver no longer uses the device.
 */
export type InterruptResult = 'sent' | 'pending' | 'unwanted';

/** Interrupts the driver of a device for one of its queues. @throws SystemError */
export type Interrupt = (queue: number) => InterruptResult;

/**
 * VDUSE_VQ_INJECT_IRQ, for one thread.
 * @param deviceFd the file of the device
 */
export function vduseInterrupt(deviceFd: number): Interrupt {
  const argument = new NativeBuffer(4);
  return (queue) => {
    argument.u32[0] = queue;
    if (ioctlNumber(deviceFd, VDUSE_VQ_INJECT_IRQ, argument.address) === 0) return 'sent';
    const errno = lastErrno();
    switch (errno) {
      // Between DRIVER_OK and the time when the kernel has recorded it, the driver cannot be interrupted.
      case Errno.EINVAL:
      case Errno.EINTR:
        return 'pending';
      // The device is broken and no longer used. The main thread finds out by itself.
      case Errno.EPERM:
        return 'unwanted';
      default:
        throw new SystemError({ operation: `inject the interrupt of queue ${queue}`, errno });
    }
  };
}
