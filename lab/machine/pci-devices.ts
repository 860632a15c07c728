import { truncateSync } from 'node:fs';
import { join } from 'node:path';
import { quoteForOption } from './qemu-option.js';
import type { Start } from './start.js';
import { startVhostUserPeer } from './vhost-user-peer.js';

const DISK_MIB = 64;

/** Queue pairs of the network device with several. */
const PAIRS = 4;

interface PciDevices {
  /** In the format of sysfs. */
  readonly addresses: readonly string[];
  /** QEMU's options. */
  readonly options: readonly string[];
  readonly release: () => void;
}

/** A device for vp_vdpa: its slot on the machine's first bus, and its options. */
interface Device {
  readonly slot: number;
  /** The options of its backend. */
  readonly backend: readonly string[];
  readonly device: string;
}

/** DMA goes through the IOMMU, whose snoop control vhost_vdpa requires and QEMU's own vhost does not support. */
const THROUGH_IOMMU = 'iommu_platform=on,ats=on';

/**
 * The PCI devices for vp_vdpa. The two network devices with one pair are connected: what one sends, the other receives. The
 * packets of the one with several pairs are dropped.
 */
export async function pciDevices(start: Start): Promise<PciDevices> {
  const disk = 'pci-disk';
  start.write(disk, '');
  truncateSync(join(start.folder, disk), DISK_MIB * 2 ** 20);
  const cards = join(start.folder, 'net5');
  const endPeer = await startVhostUserPeer(cards, PAIRS);
  const devices: Device[] = [
    {
      slot: 5,
      backend: [
        ...['-chardev', `socket,id=net5,path=${quoteForOption(cards)}`],
        ...['-netdev', `vhost-user,id=net5,chardev=net5,queues=${PAIRS}`],
      ],
      device: `virtio-net-pci,netdev=net5,mac=52:54:00:12:34:05,romfile=,mq=on,vectors=${2 * PAIRS + 2}`,
    },
    {
      slot: 6,
      backend: [
        ...['-drive', `if=none,id=disk6,format=raw,cache=unsafe,file=${quoteForOption(join(start.folder, disk))}`],
      ],
      device: `virtio-blk-pci,drive=disk6,num-queues=2,serial=disk6,${THROUGH_IOMMU}`,
    },
    network(start.folder, 7, 8, ''),
    network(start.folder, 8, 7, ',host_mtu=9000'),
    {
      slot: 9,
      backend: ['-object', 'rng-random,id=rng9,filename=/dev/urandom'],
      device: `virtio-rng-pci,rng=rng9,${THROUGH_IOMMU}`,
    },
  ];
  return {
    addresses: devices.map(({ slot }) => `0000:00:0${slot}.0`),
    options: [
      ...['-device', 'intel-iommu,snoop-control=on,device-iotlb=on,intremap=off'],
      ...devices.flatMap(({ slot, backend, device }) => [
        ...backend,
        '-device',
        `${device},addr=${slot},disable-legacy=on`,
      ]),
    ],
    release: endPeer,
  };
}

/** A network device, connected to the one in another slot. */
function network(folder: string, slot: number, other: number, more: string): Device {
  const end = (name: string, at: number): string =>
    `${name}.type=unix,${name}.path=${quoteForOption(join(folder, `net${at}`))}`;
  const cable = `${end('local', slot)},${end('remote', other)}`;
  return {
    slot,
    backend: ['-netdev', `dgram,id=net${slot},${cable}`],
    device: `virtio-net-pci,netdev=net${slot},mac=52:54:00:12:34:0${slot},romfile=,${THROUGH_IOMMU}${more}`,
  };
}
