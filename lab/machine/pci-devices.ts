import { truncateSync } from 'node:fs';
import { join } from 'node:path';
import { quoteForOption } from './qemu-option.js';
import type { Start } from './start.js';

const DISK_MIB = 64;

interface PciDevices {
  /** As sysfs names them. */
  readonly addresses: readonly string[];
  /** QEMU's options. */
  readonly options: readonly string[];
  readonly release: () => void;
}

/** A device that is there for vp_vdpa: its slot on the machine's first bus, and what it is. */
interface Device {
  readonly slot: number;
  /** The options of what it stands on. */
  readonly backend: readonly string[];
  readonly device: string;
}

/** As the devices of a network card that does its work itself: virtio 1, memory through the IOMMU. */
const COMMON = 'disable-legacy=on,iommu_platform=on,ats=on';

/**
 * The PCI devices that vp_vdpa takes. The two network devices are on one network, which nothing else is on: what one sends,
 * the other receives.
 */
export function pciDevices(start: Start): PciDevices {
  const disk = 'pci-disk';
  start.write(disk, '');
  truncateSync(join(start.folder, disk), DISK_MIB * 2 ** 20);
  const devices: Device[] = [
    {
      slot: 6,
      backend: [
        ...['-drive', `if=none,id=disk6,format=raw,cache=unsafe,file=${quoteForOption(join(start.folder, disk))}`],
      ],
      device: 'virtio-blk-pci,drive=disk6,num-queues=2,serial=disk6',
    },
    network(start.folder, 7, 8, ''),
    network(start.folder, 8, 7, ',host_mtu=9000'),
    {
      slot: 9,
      backend: ['-object', 'rng-random,id=rng9,filename=/dev/urandom'],
      device: 'virtio-rng-pci,rng=rng9',
    },
  ];
  return {
    addresses: devices.map(({ slot }) => `0000:00:0${slot}.0`),
    options: [
      ...['-device', 'intel-iommu,snoop-control=on,device-iotlb=on,intremap=off'],
      ...devices.flatMap(({ slot, backend, device }) => [...backend, '-device', `${device},addr=${slot},${COMMON}`]),
    ],
    release: () => undefined,
  };
}

/** A network device, by a cable to the one in another slot. */
function network(folder: string, slot: number, other: number, more: string): Device {
  const end = (name: string, at: number): string =>
    `${name}.type=unix,${name}.path=${quoteForOption(join(folder, `net${at}`))}`;
  const cable = `${end('local', slot)},${end('remote', other)}`;
  return {
    slot,
    backend: ['-netdev', `dgram,id=net${slot},${cable}`],
    device: `virtio-net-pci,netdev=net${slot},mac=52:54:00:12:34:0${slot},romfile=${more}`,
  };
}
