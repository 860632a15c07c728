import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { VduseInstanceState } from '../../../../src/sim/state/model.js';
import type { RespondingInstance } from './vduse-responder.js';

/**
 * Starts another program that creates VDUSE instances and accepts every request of the kernel.
 * @returns a function that stops it and waits for its exit
 */
export async function startResponder(instances: readonly RespondingInstance[]): Promise<() => Promise<void>> {
  const program = new URL('./vduse-responder.js', import.meta.url).pathname;
  const child = spawn(process.execPath, [program, JSON.stringify(instances)], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return async () => {
    child.stdin.end();
    const [status] = (await once(child, 'exit')) as [number | null];
    assert.equal(status, 0);
  };
}

/** Converts an instance to the responder's format. */
export function toResponding(instance: VduseInstanceState): RespondingInstance {
  const { name, device_id: deviceId, vendor_id: vendorId, features, vq_sizes: queueSizes, config } = instance;
  return { name, deviceId, vendorId, features, queueSizes, config };
}
