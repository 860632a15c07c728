import { hasRuntimeFolder } from './runtime-path.js';
import type { VduseServers } from './servers.js';

/** The servers of this machine. */
export const machineServers: VduseServers = {
  list: async (only) => (await import('./catalogue.js')).listInstances(only),
  has: async (name) => (await import('./add.js')).instanceExists(name),
  add: async (device, attach, options) => (await import('./add.js')).launchAndAttach(device, attach, options),
  takeOver: async (device) => {
    const { launchServer } = await import('./launch.js');
    const { formatArguments } = await import('../spec/arguments.js');
    await launchServer(device.name, formatArguments(device));
  },
  awaitReplacement: async (name, signal) => {
    if (hasRuntimeFolder(name)) await (await import('./liveness.js')).awaitReplacement(name, signal);
  },
  end: async (name) => {
    if (hasRuntimeFolder(name)) await (await import('./catalogue.js')).endServer(name);
  },
  remove: async (name, detach) => {
    const { isAttached } = await import('../engine/takeover.js');
    const { removeInstance } = await import('./catalogue.js');
    if (isAttached(name)) await detach();
    await removeInstance(name);
  },
};
