import type { VdpaEvent } from '../host/events.js';
import { typeName } from './device.js';
import type { Printer } from './printer.js';

/** Prints one event: a line of text, or an object of JSON. */
export function renderEvent(printer: Printer, event: VdpaEvent, { timestamp }: { readonly timestamp: boolean }): void {
  printer.openRow();
  if (timestamp) printer.string('timestamp', formatTime(event.time), 'Timestamp: ', '\n');
  switch (event.object) {
    case 'monitor':
      printer.string('event', event.event, 'monitor: ', ' events; what is different since follows');
      break;
    case 'mgmtdev':
      printer.string('mgmtdev', event.device.handle, 'mgmtdev ');
      printer.string('event', event.event, ': ');
      break;
    case 'dev':
      printer.string('dev', event.name, 'dev ');
      printer.string('event', event.event, ': ');
      renderDeviceEvent(printer, event);
  }
  printer.closeRow();
}

function renderDeviceEvent(printer: Printer, event: VdpaEvent & { object: 'dev' }): void {
  switch (event.event) {
    case 'added':
      if (!event.device) break;
      printer.string('type', typeName(event.device.deviceId), ' type ');
      printer.string('mgmtdev', event.device.managementDevice, ' mgmtdev ');
      break;
    case 'bound':
      printer.string('driver', event.driver, ' driver ');
      if (event.vhost !== undefined) printer.string('vhost', `/dev/${event.vhost}`, ' vhost ');
      break;
    case 'changed':
      if (event.partName !== undefined) printer.string(event.part, event.partName, ` ${event.part} `);
      printer.string('change', event.change, ' ');
      if (event.oldName !== undefined) printer.string('old_name', event.oldName, ' from ');
      break;
    case 'removed':
    case 'unbound':
      break;
  }
}

const weekdays = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

/** Local time in the format of `ip -timestamp monitor`: asctime(3), then the microseconds. */
export function formatTime(microseconds: number): string {
  const date = new Date(Math.floor(microseconds / 1000));
  const two = (value: number): string => value.toString().padStart(2, '0');
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
  const day = date.getDate().toString().padStart(2);
  const words = [weekdays[date.getDay()], months[date.getMonth()], day, clock, date.getFullYear()];
  return `${words.join(' ')} ${microseconds % 1_000_000} usec`;
}
