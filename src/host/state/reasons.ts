/** Reasons for not changing a device without force. */
import { Errno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';

/** Data in a file outlives its server, data in memory does not. */
export function memoryLoss(name: string): SystemError {
  const hint = 'Its data is in memory and would be lost. Save the data, then use "force"';
  return new SystemError({ operation: `replace ${name}`, errno: Errno.EBUSY, hint });
}

/** The message of a thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
