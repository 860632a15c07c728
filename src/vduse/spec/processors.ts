/** The processors that the threads of a device run on. Does not access the machine. */
import { formatProcessorList, parseProcessorList } from '../../sys/processor-list.js';
import { DeviceOptionError } from './error.js';

/** @throws DeviceOptionError for an invalid list */
export function parseCpus(text: string): number[] {
  const processors = parseProcessorList(text);
  if (processors !== undefined) return processors;
  throw new DeviceOptionError(`Invalid cpus "${text}": expected a list of processors, such as 0-3,5`);
}

/** The processors that a process may use, and those of the machine, if known. */
export interface Processors {
  readonly allowed: readonly number[];
  readonly online: readonly number[] | undefined;
}

/** @throws DeviceOptionError if a thread cannot run on one of the processors */
export function checkCpus(cpus: readonly number[], { allowed, online }: Processors): void {
  if (cpus.length === 0) throw new DeviceOptionError('Invalid cpus: expected at least one processor');
  const denied = cpus.find((processor) => !allowed.includes(processor));
  if (denied === undefined) return;
  const why =
    online === undefined || online.includes(denied)
      ? `is not allowed for this process, which may use ${formatProcessorList(allowed)}`
      : `does not exist or is offline; this machine has ${formatProcessorList(online)}`;
  throw new DeviceOptionError(`Invalid cpus: processor ${denied} ${why}`);
}
