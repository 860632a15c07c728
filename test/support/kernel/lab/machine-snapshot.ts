/** What is compared of the files of a machine and a simulated one. */
import type { MachineSide } from './machine-side.js';

const BUS = '/sys/bus/vdpa';

/** The entries that the simulation has as well; others are not read by anything. */
const entry =
  /^(?:driver|driver_override|subsystem|uevent|device|vendor|modalias|net|block|dev|size|address|flags|ifindex|type|diskseq|holders|slaves|bind|unbind|msg_timeout|bounce_size|vq[0-9]+|virtio[0-9]+|vhost-vdpa-[0-9]+|eth[0-9]+|vd[a-z]+)$/;

/** The devices and drivers of the bus, with all that is below them, virtio devices elsewhere, and the nodes: a line for each file. */
export function snapshot(side: MachineSide): string[] {
  const { files } = side;
  const lines: string[] = [];
  const seen = new Set<string>();
  const walk = (path: string): void => {
    seen.add(path);
    for (const name of files.list(path)) {
      const full = `${path}/${name}`;
      const target = files.link(full);
      if (target !== undefined) lines.push(`${full} -> ${target}`);
      else if (files.list(full).length > 0) {
        lines.push(`${full}/`);
        if (entry.test(name)) walk(full);
      } else if (entry.test(name)) lines.push(`${full} ${describe(side, name, full)}`);
    }
  };
  const places = (bus: string, names: readonly string[]): string[] =>
    names.map((name) => {
      const folder = files.real(`/sys/bus/${bus}/devices/${name}`) ?? '';
      lines.push(`${bus} ${name} ${folder}`);
      return folder;
    });
  const devices = [...places('vdpa', files.list(`${BUS}/devices`)), ...places('virtio', side.virtioDevices())];
  for (const driver of files.list(`${BUS}/drivers`)) walk(`${BUS}/drivers/${driver}`);
  lines.push(`autoprobe ${files.text(`${BUS}/drivers_autoprobe`) ?? ''}`);
  const instances = files.list('/sys/class/vduse').map((name) => files.real(`/sys/class/vduse/${name}`) ?? '');
  for (const folder of [...instances, ...devices]) {
    lines.push(folder);
    if (!seen.has(folder)) walk(folder);
  }
  lines.push(...nodes(side));
  return lines.filter((line) => isCompared(line)).map((line) => side.comparable(line));
}

function nodes(side: MachineSide): string[] {
  const { files } = side;
  const names = files.list('/dev').filter((name) => /^(?:vhost-vdpa-|vd[a-z])/.test(name) && name !== 'vduse');
  return [...names, ...files.list('/dev/vduse').map((name) => `vduse/${name}`)].map((node) => {
    const number = files.deviceNumber(`/dev/${node}`);
    const known = number && { ...number, major: side.major(`${number.major}`) };
    return `${node} ${JSON.stringify([known, files.access(`/dev/${node}`)])}`;
  });
}

/** Directories of attributes that the simulation leaves out. */
function isCompared(line: string): boolean {
  if (/\/(?:power|queues|statistics|mq|queue|integrity|trace|iosched|napi)\/$/.test(line)) return false;
  // The backing device information of a disk, and modules of drivers that are not built in.
  return !/\/(?:bdi|module) -> /.test(line);
}

function describe(side: MachineSide, name: string, path: string): string {
  // Empty directories, and files that can only be written.
  if (['holders', 'slaves', 'bind', 'unbind'].includes(name) || (name === 'uevent' && path.includes('/drivers/')))
    return 'is there';
  const text = side.content(name, path);
  // A device without an address gets a random one from its driver.
  if (name === 'address') return /^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(text) ? 'an address' : text;
  return text;
}
