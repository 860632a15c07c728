import { hasRuntimeFolder } from '../vduse/daemon/runtime-path.js';

/**
 * Waits up to ten seconds while a server of vdpa is about to replace one that has died.
 * @throws DeviceNameError; the reason of the signal
 */
export async function awaitServer(name: string, signal?: AbortSignal): Promise<void> {
  if (hasRuntimeFolder(name)) await (await import('../vduse/daemon/liveness.js')).awaitReplacement(name, signal);
}
