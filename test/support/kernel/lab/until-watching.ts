import { setTimeout as sleep } from 'node:timers/promises';
import { sh, until } from '../servers/vduse.js';

const patienceMs = 1000;

/**
 * Waits until a `vdpa monitor` process watches. Nothing else shows that: devices are added and deleted until it has reported the
 * deletion of one. Discard what it has printed until then.
 * @param told returns everything it has printed so far
 */
export async function untilWatching(told: () => string): Promise<void> {
  let devices = 0;
  await until('the monitor reports devices', async () => {
    const name = `probe${devices++}`;
    await sh(`/run/bin/vdpa-iproute2 dev add name ${name} mgmtdev vdpasim_blk`);
    await sh(`/run/bin/vdpa-iproute2 dev del ${name}`);
    // In text or JSON. It reports nothing, or not everything, about a device added before it watches.
    const removed = new RegExp(`\\b${name}(: |","event":")removed`);
    const end = performance.now() + patienceMs;
    while (!removed.test(told())) {
      if (performance.now() >= end) return false;
      await sleep(10);
    }
    return true;
  });
}
