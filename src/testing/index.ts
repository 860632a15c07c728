/// <reference types="node" preserve="true" />
/**
 * A simulated machine in memory, for tests of programs that use vDPA: no kernel module, no hardware, no root. It
 * answers netlink requests as drivers/vdpa/vdpa.c of Linux 7.3 does, to the byte, and has the vdpa bus, with its drivers,
 * what they make of devices, and the events of all that.
 *
 * @example
 * const machine = simulate({ faults: [{ command: 'dev add', errno: 'ENOSPC', times: 1 }] });
 * const client = await VdpaClient.open({ transport: machine });
 */
export { simulate, type SimulateOptions, type SimulatedMachine, type SocketOptions } from './simulate.js';
export type { MachineDescription, ManagementDescription, VduseDescription } from '../sim/state/description.js';
export type { BusDriver, ConfigAttribute, Counter, ManagementDriver, ParentState } from '../sim/state/model.js';
export type { CardDriver } from '../sim/state/card.js';
export type { Fault, FaultCommand } from '../sim/state/fault.js';
export { SimulationError } from '../sim/error.js';
export type { NetlinkTransport } from '../netlink/transport.js';
export type { ErrnoName } from '../sys/errno.js';
