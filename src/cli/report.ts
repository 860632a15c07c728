import { LoadError } from '../benchmark/error.js';
import { PeerError } from '../conformance/error.js';
import {
  GenlFamilyNotFoundError,
  NetlinkTransportError,
  NetlinkError,
  NetlinkProtocolError,
  NetlinkUnavailableError,
} from '../netlink/error.js';
import { SimulationError } from '../sim/error.js';
import { Errno } from '../sys/errno.js';
import { MissingKoffiError, PrivilegeError, SystemError, UnsupportedMachineError } from '../sys/error.js';
import { LaunchError, VduseError } from '../vduse/error.js';
import { DriverError } from '../vhost/error.js';
import { UsedRingError } from '../virtio/driver/ring-driver.js';
import { IncompleteError, InterruptedError, ReportedError, UsageError } from './error.js';
import { OutputError, type Io } from './io.js';

/** A shell adds this to the number of the signal that killed a program. */
export const endedBySignal = 128;
/** The exit status that a shell reports for a program killed by SIGPIPE. */
const brokenPipeStatus = endedBySignal + 13;

/**
 * Reports an error on stderr, with iproute2's message if it has one.
 * @returns the exit status: 1, {@link brokenPipeStatus}, that of a signal, or the one of a {@link ReportedError}
 */
export function reportError(error: unknown, io: Io): number {
  // The reader of the output is gone. Other programs die silently of SIGPIPE.
  if (error instanceof OutputError && error.code === 'EPIPE') return brokenPipeStatus;
  if (error instanceof ReportedError) return error.status;
  io.stderr(`${describeError(error).join('\n')}\n`);
  if (io.env['VDPA_DEBUG'] === '1' && error instanceof Error) io.stderr(`${error.stack ?? error.message}\n`);
  return error instanceof InterruptedError ? endedBySignal + error.number : 1;
}

/** The message of an error, line by line. */
export function describeError(error: unknown): string[] {
  if (
    error instanceof UsageError ||
    error instanceof IncompleteError ||
    error instanceof InterruptedError ||
    error instanceof LoadError ||
    error instanceof PeerError
  ) {
    return [error.message];
  }
  if (error instanceof SimulationError || error instanceof NetlinkTransportError) {
    return [error.message];
  }
  if (error instanceof GenlFamilyNotFoundError) {
    return [
      'Failed to connect to vdpa Netlink',
      'The vdpa netlink family is missing: run "modprobe vdpa" and load a driver that provides management devices.' +
        ' The family exists only in the initial network namespace.',
    ];
  }
  if (error instanceof NetlinkUnavailableError) {
    return ['Failed to connect to vdpa Netlink', `No generic netlink socket: ${error.message}`];
  }
  if (error instanceof NetlinkError) return describeNetlinkError(error);
  if (error instanceof NetlinkProtocolError) return [`Cannot parse the kernel's answer: ${error.message}`];
  if (error instanceof LaunchError) return [...error.lines];
  if (error instanceof SystemError) {
    return [`vdpa: ${error.message}`, ...(needsRoot(error) ? ['Run as root.'] : [])];
  }
  if (error instanceof DriverError || error instanceof UsedRingError) return [`vdpa: ${error.message}`];
  if (error instanceof VduseError || error instanceof PrivilegeError || error instanceof MissingKoffiError) {
    return [`vdpa: ${error.message}`];
  }
  if (error instanceof UnsupportedMachineError) return [error.message];
  const message = error instanceof Error ? error.message : String(error);
  return [`vdpa: ${message}`, 'This is a bug in vdpa. Set VDPA_DEBUG=1 to see where it occurred.'];
}

/** Whether root would have succeeded, and the message does not say so yet. */
function needsRoot({ errno, hint }: SystemError): boolean {
  return (
    (errno === Errno.EACCES || errno === Errno.EPERM) && hint?.includes('as root') !== true && process.geteuid?.() !== 0
  );
}

function describeNetlinkError(error: NetlinkError): string[] {
  const lines: string[] = [];
  if (error.missingType !== undefined) lines.push(`Missing required attribute type ${error.missingType}`);
  if (error.kernelMessage) lines.push(`Error: ${withFullStop(error.kernelMessage)}`);
  lines.push(`kernel answers: ${error.reason}`);
  if (error.hint !== undefined) lines.push(error.hint);
  return lines;
}

/** The kernel's message, with the full stop of iproute2. */
export function withFullStop(kernelMessage: string): string {
  return kernelMessage.endsWith('.') ? kernelMessage : `${kernelMessage}.`;
}
