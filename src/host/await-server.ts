import { hasRuntimeFolder } from '../vduse/daemon/runtime-path.js';

/** Waits while a server of ours is about to take the place of one that has died: for ten seconds at most. @throws DeviceNameError */
export async function awaitServer(name: string): Promise<void> {
  if (hasRuntimeFolder(name)) await (await import('../vduse/daemon/liveness.js')).awaitReplacement(name);
}
