import { formatHandle } from '../vdpa/model.js';
import { describeClass } from '../virtio/classes.js';
import type { Fault } from '../sim/state/fault.js';
import type { SimState } from '../sim/state/model.js';
import { isAttached } from '../sim/state/vduse-instance.js';
import { renderRows, type Printer } from './printer.js';

/** Prints the configuration of a simulated machine, and how often its faults occurred. @param path of its state file */
export function renderSimulation(printer: Printer, path: string, state: SimState): void {
  const { machine, devices } = state;
  const devicesOf = (management: string): number => devices.filter(({ mgmtdev }) => mgmtdev === management).length;
  printer.openRecord('machine');
  printer.string('state', path, 'state ');
  printer.number('uid', machine.uid, ' uid ');
  printer.string('bus_driver', machine.bus_driver, ' bus_driver ');
  printer.number('devices', devices.length, ' devices ');
  printer.closeRecord();
  renderRows(printer, 'mgmtdev', machine.mgmtdev, (management) => {
    printer.string('name', formatHandle(management), '');
    printer.string('driver', management.driver, ' driver ');
    printer.number('devices', devicesOf(formatHandle(management)), ' devices ');
  });
  renderRows(printer, 'vduse', state.vduse, (instance) => {
    printer.string('name', instance.name, '');
    printer.string('type', describeClass(instance.device_id), ' type ');
    printer.string('server', instance.served ? 'embedded' : 'external', ' server ');
    printer.boolean('attached', isAttached(state, instance.name), ' attached ');
  });
  renderRows(
    printer,
    'fault',
    machine.faults.map((fault, index) => ({ fault, hits: state.fault_hits[index] ?? 0 })),
    ({ fault, hits }) => {
      renderFault(printer, fault);
      if (isCounted(fault)) printer.number('hits', hits, ' hits ');
    },
  );
}

function renderFault(printer: Printer, { command, ...effects }: Fault): void {
  printer.string('command', command, '');
  for (const [key, value] of Object.entries(effects)) {
    if (typeof value === 'string') printer.string(key, value, ` ${key} "`, '"');
    else if (typeof value === 'number') printer.number(key, value, ` ${key} `);
    else printer.boolean(key, value, ` ${key} `);
  }
}

/** Only these are counted. */
function isCounted({ skip, times }: Fault): boolean {
  return skip !== undefined || times !== undefined;
}
