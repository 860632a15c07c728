/** Error numbers with their names and texts, for users of the netlink layer alone. */
export { Errno, errnoName, strerror } from '../sys/errno.js';
export type { ErrnoName } from '../sys/errno.js';
