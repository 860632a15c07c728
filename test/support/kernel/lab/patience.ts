import { machineHere } from './machine-here.js';

/** How long to wait for expected events, in milliseconds. An emulated processor is several times slower. */
export const REPLY_TIMEOUT_MS = machineHere() === 'uml' ? 60_000 : 300_000;
