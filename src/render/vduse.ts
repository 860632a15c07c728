import type { InstanceStatus, OwnStatus, VduseInstance } from '../vduse/daemon/servers.js';
import { keywordOf } from '../vduse/spec/field.js';
import { fieldEntries } from '../vduse/spec/fields.js';
import { renderRows, type Printer } from './printer.js';

/** Prints a VDUSE device: its server, its properties, and the counters of its queues, each on a line of its own. */
export function renderVduseInstance(printer: Printer, instance: VduseInstance): void {
  printer.openRecord(instance.name);
  renderInstance(printer, instance);
  printer.closeRecord();
}

function renderInstance(printer: Printer, instance: VduseInstance): void {
  switch (instance.server) {
    case 'vdpa':
      renderStatus(printer, instance.status);
      return;
    case 'starting':
      renderDevice(printer, instance.status);
      printer.string('state', instance.status.state, ' state ');
      break;
    case 'unresponsive':
      printer.string('server', 'vdpa', 'server ');
      printer.number('pid', instance.pid, ' pid ');
      printer.string('state', instance.state, ' state ');
      break;
    case 'other':
      printer.string('server', 'another program', 'server ');
      break;
    case 'none':
      printer.string('server', 'none', 'server ');
  }
  printer.boolean('attached', instance.attached, ' attached ');
}

/** The server and the properties of a device. */
function renderDevice(printer: Printer, status: OwnStatus): void {
  printer.string('server', 'vdpa', 'server ');
  if ('pid' in status) printer.number('pid', status.pid, ' pid ');
  if (status.supervisor !== undefined) printer.number('supervisor', status.supervisor, ' supervisor ');
  const { device: own } = status;
  const device = { ...own, ...('size' in status && { size: status.size }), ...('access' in status && status.access) };
  printer.string('type', device.type, ' type ');
  for (const [name, { shown = false }] of fieldEntries(device.type)) {
    const keyword = keywordOf(name);
    const value = shown ? device[keyword] : undefined;
    if (typeof value === 'string') printer.string(keyword, value, ` ${keyword} `);
    else if (typeof value === 'number') printer.number(keyword, value, ` ${keyword} `);
    else if (typeof value === 'boolean') printer.boolean(keyword, value, ` ${keyword} `);
  }
}

function renderStatus(printer: Printer, status: InstanceStatus): void {
  renderDevice(printer, status);
  printer.string('state', status.state, ' state ');
  if (status.connection !== undefined) {
    printer.string('connection', status.connection.state, ' connection ');
    printer.number('connections', status.connection.count, ' connections ');
    const { reason } = status.connection;
    if (reason !== undefined) printer.string('connection_error', reason, ' connection_error ');
  }
  if (status.stalledSeconds !== undefined) printer.number('stalled', status.stalledSeconds, ' stalled ');
  printer.boolean('attached', status.attached, ' attached ');
  printer.boolean('deleted', status.deleted, ' deleted ');
  printer.string('features', status.features, ' features ');
  printer.number('queue_size', status.queueSize, ' queue_size ');
  if (status.trouble !== undefined) printer.string('trouble', status.trouble, ' trouble ');
  renderRows(printer, 'queue', status.queues.entries(), ([index, queue]) => {
    printer.number('index', index, '');
    printer.string('state', queue.state, ' state ');
    printer.number('requests', queue.requests, ' requests ');
    printer.number('bytes_in', queue.bytesIn, ' bytes_in ');
    printer.number('bytes_out', queue.bytesOut, ' bytes_out ');
    printer.number('errors', queue.errors, ' errors ');
    printer.number('interrupts', queue.interrupts, ' interrupts ');
  });
}
