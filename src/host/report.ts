/** Reports whether a machine is ready for vDPA: what is present, what is missing, and how to fix it. */
import type { IovaRanges } from '../iommufd/index.js';
import type { GenlFamily } from '../netlink/genl-family.js';
import { GenlFamilyNotFoundError, NetlinkUnavailableError } from '../netlink/error.js';
import { Errno } from '../sys/errno.js';
import { SystemError } from '../sys/error.js';
import type { VdpaBus } from '../sysfs/bus.js';
import type { MachineFiles } from '../sysfs/machine-files.js';
import type { VdpaClient } from '../vdpa/client.js';
import type { ManagementDevice } from '../vdpa/model.js';
import { findModules, type ModuleReport } from './modules.js';

/** Something that is present, with its properties; or advice for making it present. */
export type Presence<T> = ({ readonly present: true } & T) | { readonly present: false; readonly advice: string };

/** The report of `vdpa host show`. */
export interface HostReport {
  /** The running kernel's release: `7.3.4`. */
  readonly kernel: string;
  readonly family: Presence<{ readonly family: GenlFamily }>;
  readonly modules: readonly ModuleReport[];
  readonly managementDevices: readonly ManagementDevice[];
  /** The drivers on the vdpa bus. */
  readonly busDrivers: readonly string[];
  /** /dev/vduse/control. */
  readonly vduse: Presence<{ readonly apiVersion: bigint; readonly features: bigint }>;
  /** The /dev/vhost-vdpa-N nodes, each with its device. */
  readonly vhostNodes: readonly { readonly node: string; readonly device: string }[];
  /** /dev/iommu, and the properties of a new address space. */
  readonly iommu: Presence<IovaRanges>;
  /**
   * Whether this process has the privileges to change devices: CAP_NET_ADMIN for netlink, CAP_DAC_OVERRIDE or root for
   * sysfs, both in the initial user namespace.
   */
  readonly capabilities: {
    readonly netAdmin: boolean;
    readonly dacOverride: boolean;
    /** Whether this process is in the initial user namespace: in others it has no access to devices. */
    readonly initialUserNamespace: boolean;
  };
  /** Obstacles and how to remove them; empty if devices can be created and used. */
  readonly advice: readonly string[];
}

/** What the nodes report that must be opened for it. Each throws SystemError if its node cannot be opened. */
export interface ControlNodes {
  /** /dev/vduse/control: VDUSE_GET_API_VERSION and VDUSE_GET_FEATURES. */
  readonly vduse: () => Promise<{ readonly apiVersion: bigint; readonly features: bigint }>;
  /** /dev/iommu: the properties of a new address space. */
  readonly iommu: () => Promise<IovaRanges>;
}

/**
 * Checks the machine. What it lacks the privileges to check is reported as not present, with advice.
 *
 * Command line: `vdpa host show`.
 * @param openClient opens a client of the kernel's vdpa family
 * @param controls what the control nodes report; by default those of this machine
 * @throws NetlinkError if the kernel rejects a request; SystemError if the machine's files cannot be read
 */
export async function reportHost(
  bus: VdpaBus,
  openClient: () => Promise<VdpaClient>,
  controls: ControlNodes = localControls,
): Promise<HostReport> {
  const { files } = bus;
  const kernel = files.text('/proc/sys/kernel/osrelease') ?? '';
  const modules = findModules(files, kernel);
  const { family, managementDevices } = await reportFamily(openClient, modules);
  const facts = {
    kernel,
    family,
    managementDevices,
    modules,
    busDrivers: bus.drivers(),
    vduse: await present(adviceFor(modules, 'vduse'), controls.vduse),
    vhostNodes: bus
      .devices()
      .flatMap(({ name, vhost }) => (vhost === undefined ? [] : [{ node: `/dev/${vhost}`, device: name }])),
    iommu: await present(adviceFor(modules, 'iommufd'), controls.iommu),
    capabilities: readCapabilities(files),
  };
  return { ...facts, advice: advise(facts) };
}

async function reportFamily(
  openClient: () => Promise<VdpaClient>,
  modules: readonly ModuleReport[],
): Promise<Pick<HostReport, 'family' | 'managementDevices'>> {
  try {
    const client = await openClient();
    return { family: { present: true, family: client.family }, managementDevices: await client.managementDevices() };
  } catch (error) {
    if (error instanceof GenlFamilyNotFoundError) {
      const core = modules.find(({ name }) => name === 'vdpa');
      const advice = core?.advice ?? 'run in the initial network namespace, the only one that has the family';
      return { family: { present: false, advice }, managementDevices: [] };
    }
    if (error instanceof NetlinkUnavailableError) {
      return { family: { present: false, advice: error.message }, managementDevices: [] };
    }
    throw error;
  }
}

const localControls: ControlNodes = {
  vduse: async () => {
    const { VduseControl } = await import('../vduse/kernel/control.js');
    const control = new VduseControl();
    const { apiVersion, features } = control;
    control.close();
    return { apiVersion, features };
  },
  iommu: async () => {
    const { Iommufd } = await import('../iommufd/index.js');
    const iommufd = Iommufd.open();
    try {
      return iommufd.allocateIoas().iovaRanges();
    } finally {
      iommufd.close();
    }
  },
};

/** The advice for a missing module, so that its consequences need no advice of their own. */
function adviceFor(modules: readonly ModuleReport[], module: string): string | undefined {
  return modules.find(({ name }) => name === module)?.advice;
}

/**
 * The report on something that is opened, or the error.
 * @param adviceOfModule what to do if its node is missing because its module is
 */
async function present<T extends object>(
  adviceOfModule: string | undefined,
  read: () => Promise<T>,
): Promise<Presence<T>> {
  try {
    return { present: true, ...(await read()) };
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const isMissing = missingNode.has(error.errno);
    return { present: false, advice: (isMissing ? adviceOfModule : undefined) ?? error.hint ?? error.message };
  }
}

/** A node that is missing, or that has no driver: kmod creates some before their module is loaded. */
const missingNode: ReadonlySet<number> = new Set([Errno.ENOENT, Errno.ENXIO, Errno.ENODEV]);

const CAP_DAC_OVERRIDE = 1n;
const CAP_NET_ADMIN = 12n;

/** The link of the initial user namespace: PROC_USER_INIT_INO of linux/proc_ns.h. */
const INITIAL_USER_NAMESPACE = 'user:[4026531837]';

/**
 * The effective capabilities: proc(5), `CapEff` of status. Those of a user namespace other than the initial one, as in
 * a container or after `unshare --user`, give no access to devices: netlink and sysfs require those of the initial one.
 */
function readCapabilities(files: MachineFiles): HostReport['capabilities'] {
  const digits = /^CapEff:\s*([0-9a-f]+)$/m.exec(files.text('/proc/self/status') ?? '')?.[1];
  if (digits === undefined) {
    throw new SystemError({
      operation: 'read the capabilities of this process',
      errno: Errno.ENOENT,
      hint: 'Is /proc mounted?',
    });
  }
  const word = BigInt(`0x${digits}`);
  // Kernels without user namespaces lack this link.
  const initialUserNamespace = (files.link('/proc/self/ns/user') ?? INITIAL_USER_NAMESPACE) === INITIAL_USER_NAMESPACE;
  const has = (bit: bigint): boolean => initialUserNamespace && ((word >> bit) & 1n) === 1n;
  return { netAdmin: has(CAP_NET_ADMIN), dacOverride: has(CAP_DAC_OVERRIDE), initialUserNamespace };
}

/** What to do first. */
function advise(report: Omit<HostReport, 'advice'>): string[] {
  const advice: string[] = [];
  const { family, managementDevices, busDrivers, capabilities } = report;
  if (!family.present) advice.push(`no vdpa netlink family: ${family.advice}`);
  if (family.present && managementDevices.length === 0) {
    advice.push('no management device: load the driver of the hardware, or modprobe vdpa_sim_net or vduse');
  }
  if (family.present && !['vhost_vdpa', 'virtio_vdpa'].some((driver) => busDrivers.includes(driver))) {
    advice.push('no driver of the vdpa bus: modprobe vhost_vdpa or virtio_vdpa');
  }
  if (!capabilities.initialUserNamespace) {
    advice.push(
      'insufficient privileges in this user namespace: run as root in the initial one, outside the container',
    );
  } else if (!capabilities.netAdmin) advice.push('insufficient privileges: run as root, or with CAP_NET_ADMIN');
  return advice;
}
