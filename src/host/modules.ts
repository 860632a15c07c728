/** Reports which kernel modules of vDPA are present, and how to get the others. */
import type { MachineFiles } from '../sysfs/machine-files.js';

/**
 * `loaded` as a module, `built-in`, `available` for loading, or `missing`: this kernel was built without it, or its
 * package is not installed.
 */
export type ModuleState = 'loaded' | 'built-in' | 'available' | 'missing';

/** A module and its state. */
export interface ModuleReport {
  readonly name: string;
  readonly purpose: string;
  readonly state: ModuleState;
  /** The command or build option that provides it; absent if it is present. */
  readonly advice?: string;
}

interface KnownModule {
  readonly name: string;
  readonly purpose: string;
  /** The kernel's build option. */
  readonly option: string;
  /** A file that exists only if the module works: a built-in module need not appear in /sys/module. */
  readonly trace?: string;
  /** Reported only if it is present or can be loaded: drivers of absent hardware are not missed. */
  readonly hardware?: true;
}

const knownModules: readonly KnownModule[] = [
  { name: 'vdpa', purpose: 'the vdpa bus and its netlink family', option: 'CONFIG_VDPA', trace: '/sys/bus/vdpa' },
  {
    name: 'vhost_vdpa',
    purpose: 'devices for virtual machines and DPDK: /dev/vhost-vdpa-N',
    option: 'CONFIG_VHOST_VDPA',
    trace: '/sys/bus/vdpa/drivers/vhost_vdpa',
  },
  {
    name: 'virtio_vdpa',
    purpose: 'devices for this machine: network interfaces and disks',
    option: 'CONFIG_VIRTIO_VDPA',
    trace: '/sys/bus/vdpa/drivers/virtio_vdpa',
  },
  {
    name: 'virtio_net',
    purpose: 'network interfaces of virtio devices',
    option: 'CONFIG_VIRTIO_NET',
    trace: '/sys/bus/virtio/drivers/virtio_net',
  },
  {
    name: 'virtio_blk',
    purpose: 'disks of virtio devices',
    option: 'CONFIG_VIRTIO_BLK',
    trace: '/sys/bus/virtio/drivers/virtio_blk',
  },
  { name: 'vduse', purpose: 'devices that programs serve', option: 'CONFIG_VDPA_USER', trace: '/sys/class/vduse' },
  { name: 'vdpa_sim_net', purpose: 'simulated network devices', option: 'CONFIG_VDPA_SIM_NET' },
  { name: 'vdpa_sim_blk', purpose: 'simulated disks', option: 'CONFIG_VDPA_SIM_BLOCK' },
  { name: 'iommufd', purpose: 'I/O address spaces: /dev/iommu', option: 'CONFIG_IOMMUFD', trace: '/dev/iommu' },
  { name: 'mlx5_vdpa', purpose: 'NVIDIA ConnectX and BlueField', option: 'CONFIG_MLX5_VDPA_NET', hardware: true },
  { name: 'ifcvf', purpose: 'Intel IFC virtual functions', option: 'CONFIG_IFCVF', hardware: true },
  { name: 'vp_vdpa', purpose: 'virtio devices on PCI', option: 'CONFIG_VP_VDPA', hardware: true },
  { name: 'pds_vdpa', purpose: 'AMD Pensando', option: 'CONFIG_PDS_VDPA', hardware: true },
  { name: 'octep_vdpa', purpose: 'Marvell Octeon', option: 'CONFIG_OCTEONEP_VDPA', hardware: true },
  { name: 'snet_vdpa', purpose: 'SolidRun', option: 'CONFIG_SNET_VDPA', hardware: true },
  { name: 'eni_vdpa', purpose: 'Alibaba ENI', option: 'CONFIG_ALIBABA_ENI_VDPA', hardware: true },
];

/** Checks every module. @throws SystemError if the machine's files cannot be read */
export function findModules(files: MachineFiles, release: string): ModuleReport[] {
  const loaded = new Set(
    files
      .text('/proc/modules')
      ?.split('\n')
      .map((line) => line.split(' ')[0]),
  );
  const folder = `/lib/modules/${release}`;
  const builtIn = moduleNames(files.text(`${folder}/modules.builtin`));
  // The first word of a line is the file of the module; the following ones are its dependencies.
  const available = moduleNames(files.text(`${folder}/modules.dep`)?.replaceAll(/:.*/g, ''));
  const reports = knownModules.map(({ hardware, trace, ...known }) => {
    const isThere =
      builtIn.has(known.name) ||
      files.exists(`/sys/module/${known.name}`) ||
      (trace !== undefined && files.exists(trace));
    let state: ModuleState = 'missing';
    if (loaded.has(known.name)) state = 'loaded';
    // A loadable file is not built in, even if a node of the same name exists: kmod creates nodes of modules before
    // they are loaded.
    else if (available.has(known.name)) state = 'available';
    else if (isThere) state = 'built-in';
    return { report: describe(known, state), hardware };
  });
  return reports.filter(({ report, hardware }) => !hardware || report.state !== 'missing').map(({ report }) => report);
}

function describe({ name, purpose, option }: KnownModule, state: ModuleState): ModuleReport {
  switch (state) {
    case 'available':
      return { name, purpose, state, advice: `modprobe ${name}` };
    case 'missing':
      return { name, purpose, state, advice: `use a kernel with ${option}, or install its extra modules` };
    default:
      return { name, purpose, state };
  }
}

/** Extracts module names from a list of files: `kernel/drivers/vdpa/vdpa.ko.xz`. */
function moduleNames(list: string | undefined): ReadonlySet<string> {
  const names = (list ?? '').matchAll(/([^/\n]+)\.ko(\.[a-z0-9]+)?$/gm);
  return new Set(Array.from(names, ([, name = '']) => name.replaceAll('-', '_')));
}
