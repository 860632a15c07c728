/** The root directory of a simulated machine: /sys, /dev and the parts of /proc that tell about devices. */
import { isCardDriver } from '../../state/card.js';
import { parentOf } from '../../state/model.js';
import type { BusDriverName, HolderState, SimState } from '../../state/model.js';
import { busDrivers } from '../driver-core.js';
import { isAlive } from '../holders.js';
import { sysBus, sysClass } from './buses.js';
import { dev } from './dev.js';
import { directory, file, rawFile, type Directory, type FileNode } from './node.js';
import { sysDevices } from './sys-devices.js';

/** The kernel whose answers are simulated. */
export const RELEASE = '7.3.4';

/** The user that vdpa runs as. */
export interface ProcessIdentity {
  readonly uid: number;
}

const roots = new WeakMap<SimState, Directory>();

/** The root directory. One for each state, so that repeated reads do not make it again. */
export function rootDirectory(state: SimState, identity: ProcessIdentity): Directory {
  let root = roots.get(state);
  if (root === undefined) roots.set(state, (root = makeRoot(state)));
  return directory({ proc: () => proc(state, identity) }, root);
}

function makeRoot(state: SimState): Directory {
  return directory({
    dev: () => dev(state),
    lib: () => directory({ modules: () => directory({ [RELEASE]: () => moduleFolder(state) }) }),
    sys: () =>
      directory({
        bus: () => sysBus(state),
        class: () => sysClass(state),
        devices: () => sysDevices(state),
        kernel: () => directory({ uevent_seqnum: file(state.kernel.seqnum) }),
        module: () => directory(Object.fromEntries(loadedModules(state).map((name) => [name, () => directory({})]))),
      }),
  });
}

/** The drivers of the bus; those that are not loaded could be. */
const busModules: readonly BusDriverName[] = ['virtio_vdpa', 'vhost_vdpa'];

/** The modules of the management devices, by the names of their drivers. */
const managementModules: Readonly<Record<string, string>> = {
  vdpasim_net: 'vdpa_sim_net',
  vdpasim_blk: 'vdpa_sim_blk',
  vduse: 'vduse',
};

/** The modules of hardware, by the names of their drivers in sysfs. */
const hardwareModules: Readonly<Record<string, string>> = {
  mlx5_core: 'mlx5_vdpa',
  'mlx5_core.sf': 'mlx5_vdpa',
  'vp-vdpa': 'vp_vdpa',
  'pds_vdpa.vDPA': 'pds_vdpa',
  ifcvf: 'ifcvf',
  octep_vdpa: 'octep_vdpa',
};

function loadedModules(state: SimState): string[] {
  const ofManagement = state.machine.mgmtdev.flatMap((management) => {
    if (isCardDriver(management.driver)) return management.driver;
    return managementModules[management.driver] ?? hardwareModules[parentOf(management)?.driver ?? ''] ?? [];
  });
  return [...new Set(['vdpa', 'iommufd', 'virtio_net', 'virtio_blk', ...busDrivers(state), ...ofManagement])];
}

function moduleFolder(state: SimState): Directory {
  const loaded = loadedModules(state);
  const available = [...loaded, ...busModules.filter((name) => !loaded.includes(name))];
  return directory({
    'modules.builtin': rawFile(''),
    'modules.dep': rawFile(available.map((name) => `kernel/${name}.ko:\n`).join('')),
  });
}

/** All capabilities of a process of root; none of others. */
const ALL_CAPABILITIES = '000001ffffffffff';
const NO_CAPABILITIES = '0000000000000000';

function proc(state: SimState, { uid }: ProcessIdentity): Directory {
  const alive = state.holders.filter(isAlive);
  const modules = loadedModules(state).map((name) => `${name} 16384 0 - Live 0x0000000000000000\n`);
  const held = new Map<number, HolderState[]>();
  for (const holder of alive) held.set(holder.pid, [...(held.get(holder.pid) ?? []), holder]);
  return directory({
    modules: rawFile(modules.join('')),
    self: () =>
      directory({
        mountinfo: rawFile(''),
        ns: () => directory({ user: () => ({ kind: 'link', target: 'user:[4026531837]' }) }),
        status: rawFile(`Uid:\t${uid}\nCapEff:\t${uid === 0 ? ALL_CAPABILITIES : NO_CAPABILITIES}\n`),
      }),
    swaps: rawFile('Filename\tType\tSize\tUsed\tPriority\n'),
    sys: () => directory({ kernel: () => directory({ osrelease: file(RELEASE) }) }),
    ...Object.fromEntries([...held].map(([pid, holders]) => [`${pid}`, () => processFolder(holders)])),
  });
}

/** A process that holds nodes. An interface is not a file. */
function processFolder(holders: readonly HolderState[]): FileNode {
  const nodes = holders.filter(({ node }) => !/^eth[0-9]+$/.test(node));
  const descriptors = nodes.map(
    ({ node }, index) => [`${index + 3}`, (): FileNode => ({ kind: 'link', target: `/dev/${node}` })] as const,
  );
  return directory({
    comm: file('vdpa'),
    fd: () => directory(Object.fromEntries(descriptors)),
    status: rawFile('Name:\tvdpa\nState:\tS (sleeping)\n'),
  });
}
