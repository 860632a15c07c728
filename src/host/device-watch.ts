/** Converts events of the kernel to events of devices on the vdpa bus. */
import type { VdpaBus } from '../sysfs/bus.js';
import type { Uevent } from '../uevent/uevent.js';
import type { UntimedEvent } from './events.js';

/** Tracks the devices on the vdpa bus, and interprets events of them and of their interfaces, disks and nodes. */
export class DeviceWatch {
  readonly #bus: VdpaBus;
  /** Device names by their directories in /sys. */
  readonly #names = new Map<string, string>();
  /** Device names by the names of their virtio devices, which may have other parents: `virtio2`. */
  readonly #ofVirtio = new Map<string, string>();

  /** @param bus devices that are already on it are not reported */
  constructor(bus: VdpaBus) {
    this.#bus = bus;
    for (const [folder, name] of this.#present()) this.#names.set(folder, name);
    this.#readVirtioDevices();
  }

  /** The meaning of an event for the devices; undefined if none. */
  read(uevent: Uevent): UntimedEvent | undefined {
    switch (uevent.subsystem) {
      case 'vdpa':
        return this.#readDevice(uevent);
      case 'virtio':
        this.#readVirtio(uevent);
        return undefined;
      case 'net':
      case 'block':
        return this.#readPart(uevent, uevent.subsystem);
      default:
        return undefined;
    }
  }

  /** The differences between the bus and the events so far. */
  *catchUp(): Generator<UntimedEvent> {
    const now = this.#present();
    for (const [folder, name] of this.#names) {
      if (now.has(folder)) continue;
      this.#names.delete(folder);
      yield { object: 'dev', event: 'removed', name };
    }
    for (const [folder, name] of now) {
      if (this.#names.has(folder)) continue;
      this.#names.set(folder, name);
      yield { object: 'dev', event: 'added', name };
    }
    this.#readVirtioDevices();
  }

  #present(): Map<string, string> {
    return new Map(this.#bus.folders().map(({ folder, name }) => [folder.replace(/^\/sys/, ''), name]));
  }

  #readDevice({ action, devpath, variables }: Uevent): UntimedEvent | undefined {
    const name = devpath.slice(devpath.lastIndexOf('/') + 1);
    const known = this.#names.has(devpath);
    switch (action) {
      // A device that existed when the watch began, or was found later, is not added a second time.
      case 'add':
        this.#names.set(devpath, name);
        return known ? undefined : { object: 'dev', event: 'added', name };
      case 'remove':
        return this.#names.delete(devpath) ? { object: 'dev', event: 'removed', name } : undefined;
      case 'bind': {
        const driver = variables.get('DRIVER') ?? '';
        const device = driver === 'vhost_vdpa' ? this.#bus.device(name) : undefined;
        const vhost = device?.driver === driver ? device.vhost : undefined;
        return { object: 'dev', event: 'bound', name, driver, ...(vhost !== undefined && { vhost }) };
      }
      case 'unbind':
        return { object: 'dev', event: 'unbound', name };
      default:
        return { object: 'dev', event: 'changed', name, part: 'device', change: action };
    }
  }

  /** Reads again which virtio device belongs to which device. */
  #readVirtioDevices(): void {
    this.#ofVirtio.clear();
    for (const { name, virtio } of this.#bus.devices()) {
      if (virtio !== undefined) this.#ofVirtio.set(virtio, name);
    }
  }

  /** Records a new virtio device, whose events follow; names of removed ones are reused. */
  #readVirtio({ action, devpath }: Uevent): void {
    const end = devpath.lastIndexOf('/');
    const virtio = devpath.slice(end + 1);
    if (action === 'remove') this.#ofVirtio.delete(virtio);
    else if (!this.#names.has(devpath.slice(0, end))) this.#ownerOf(virtio);
  }

  /** The device that a virtio device belongs to: as recorded, or else from the bus. */
  #ownerOf(virtio: string): string | undefined {
    const known = this.#ofVirtio.get(virtio);
    if (known !== undefined) return known;
    const name = this.#bus.devices().find((device) => device.virtio === virtio)?.name;
    if (name !== undefined) this.#ofVirtio.set(virtio, name);
    return name;
  }

  /**
   * `/devices/foo0/virtio0/net/eth0`, `/devices/pci0000:00/0000:00:06.0/virtio1/block/vda/vda1`: the parent of the
   * virtio device is the vdpa device itself, or the device that does DMA for it.
   */
  #readPart({ action, devpath, variables }: Uevent, subsystem: 'net' | 'block'): UntimedEvent | undefined {
    const [, folder = '', virtio = ''] = /^(.+)\/(virtio[0-9]+)\/(?:net|block)\/[^/]+/.exec(devpath) ?? [];
    const name = virtio === '' ? undefined : (this.#names.get(folder) ?? this.#ownerOf(virtio));
    if (name === undefined) return undefined;
    const partName =
      variables.get(subsystem === 'net' ? 'INTERFACE' : 'DEVNAME') ?? devpath.slice(devpath.lastIndexOf('/') + 1);
    const oldPath = variables.get('DEVPATH_OLD');
    return {
      object: 'dev',
      event: 'changed',
      name,
      part: subsystem === 'net' ? 'netdev' : 'block',
      partName,
      change: variables.has('RESIZE') ? 'resized' : (changeNames[action] ?? action),
      ...(oldPath !== undefined && { oldName: oldPath.slice(oldPath.lastIndexOf('/') + 1) }),
    };
  }
}

const changeNames: Readonly<Partial<Record<string, string>>> = { add: 'added', remove: 'removed', move: 'renamed' };
