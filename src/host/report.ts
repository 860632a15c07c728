/** Whether a machine is ready for vDPA: what there is, what is missing, and what to do about it. */
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

/** Something that there is, with what is known of it; or what to do so that there is. */
export type Part<T> = ({ readonly present: true } & T) | { readonly present: false; readonly advice: string };

/** All that `vdpa host show` tells. */
export interface HostReport {
  /** The running kernel's release: `7.3.4`. */
  readonly kernel: string;
  readonly family: Part<{ readonly family: GenlFamily }>;
  readonly modules: readonly ModuleReport[];
  readonly managementDevices: readonly ManagementDevice[];
  /** The drivers on the vdpa bus. */
  readonly busDrivers: readonly string[];
  /** /dev/vduse/control. */
  readonly vduse: Part<{ readonly apiVersion: bigint; readonly features: bigint }>;
  /** The /dev/vhost-vdpa-N, each with its device. */
  readonly vhostNodes: readonly { readonly node: string; readonly device: string }[];
  /** /dev/iommu, and what a fresh address space of it offers. */
  readonly iommu: Part<IovaRanges>;
  /**
   * Whether this process may change devices: CAP_NET_ADMIN for netlink, CAP_DAC_OVERRIDE or root for sysfs, both of the
   * initial user namespace.
   */
  readonly capabilities: {
    readonly netAdmin: boolean;
    readonly dacOverride: boolean;
    /** Whether this process is in the initial user namespace: in others it has no rights over devices. */
    readonly initialUserNamespace: boolean;
  };
  /** What stands in the way, and what to do; empty where devices can be made and used. */
  readonly advice: readonly string[];
}

/**
 * Looks at the machine. What cannot be looked at for want of rights is reported as not present, with that as the advice.
 * @param openClient how to reach the kernel's vdpa family
 * @throws NetlinkError where the kernel refuses to tell; SystemError where the machine's files cannot be read
 */
export async function reportHost(bus: VdpaBus, openClient: () => Promise<VdpaClient>): Promise<HostReport> {
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
    vduse: await reportVduse(modules),
    vhostNodes: bus
      .devices()
      .flatMap(({ name, vhost }) => (vhost === undefined ? [] : [{ node: `/dev/${vhost}`, device: name }])),
    iommu: await reportIommu(modules),
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
      const advice = core?.advice ?? 'look from the initial network namespace: it is nowhere else';
      return { family: { present: false, advice }, managementDevices: [] };
    }
    if (error instanceof NetlinkUnavailableError) {
      return { family: { present: false, advice: error.message }, managementDevices: [] };
    }
    throw error;
  }
}

async function reportVduse(modules: readonly ModuleReport[]): Promise<HostReport['vduse']> {
  const { VduseControl } = await import('../vduse/kernel/control.js');
  return present(adviceFor(modules, 'vduse'), () => {
    const control = new VduseControl();
    const { apiVersion, features } = control;
    control.close();
    return { apiVersion, features };
  });
}

async function reportIommu(modules: readonly ModuleReport[]): Promise<HostReport['iommu']> {
  const { Iommufd } = await import('../iommufd/index.js');
  return present(adviceFor(modules, 'iommufd'), () => {
    const iommufd = Iommufd.open();
    try {
      return iommufd.allocateIoas().iovaRanges();
    } finally {
      iommufd.close();
    }
  });
}

/** What is said of a module that is not there, so that nothing else is said of what it brings. */
function adviceFor(modules: readonly ModuleReport[], module: string): string | undefined {
  return modules.find(({ name }) => name === module)?.advice;
}

/**
 * What opening something tells; where it cannot be opened, that.
 * @param adviceOfModule what is to be done where its node is missing, if its module is not there
 */
function present<T extends object>(adviceOfModule: string | undefined, look: () => T): Part<T> {
  try {
    return { present: true, ...look() };
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const isMissing = missingNode.has(error.errno);
    return { present: false, advice: (isMissing ? adviceOfModule : undefined) ?? error.hint ?? error.message };
  }
}

/** A node that is not there, or that no driver stands behind: kmod makes some before their module is loaded. */
const missingNode: ReadonlySet<number> = new Set([Errno.ENOENT, Errno.ENXIO, Errno.ENODEV]);

const CAP_DAC_OVERRIDE = 1n;
const CAP_NET_ADMIN = 12n;

/** The link of the initial user namespace: PROC_USER_INIT_INO of linux/proc_ns.h. */
const INITIAL_USER_NAMESPACE = 'user:[4026531837]';

/**
 * The capabilities in effect: proc(5), `CapEff` of status. Those of another user namespace than the initial one, of a container
 * or `unshare --user`, give no rights over devices: netlink and sysfs ask for the initial one's.
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
  // A kernel without user namespaces has no such link.
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
    advice.push('no management device: load the driver of the hardware, modprobe vdpa_sim_net, or modprobe vduse');
  }
  if (family.present && !['vhost_vdpa', 'virtio_vdpa'].some((driver) => busDrivers.includes(driver))) {
    advice.push('no driver that uses devices: modprobe vhost_vdpa, or modprobe virtio_vdpa');
  }
  if (!capabilities.initialUserNamespace) {
    advice.push(
      'no right to change devices in this user namespace: run as root of the initial one, outside of the container',
    );
  } else if (!capabilities.netAdmin) advice.push('no right to change devices: run as root, or with CAP_NET_ADMIN');
  return advice;
}
