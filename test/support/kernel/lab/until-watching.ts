import { setTimeout as sleep } from 'node:timers/promises';
import { sh, until } from '../servers/vduse.js';

const patienceMs = 1000;

/**
 * Waits until a process of `vdpa monitor` watches. Nothing else shows when it has begun: devices come and go until it has
 * told of one, to its end. What it told until then is to be forgotten.
 * @param told all that it has told so far
 */
export async function untilWatching(told: () => string): Promise<void> {
  let devices = 0;
  await until('the monitor tells of devices', async () => {
    const name = `probe${devices++}`;
    await sh(`/run/bin/vdpa-iproute2 dev add name ${name} mgmtdev vdpasim_blk`);
    await sh(`/run/bin/vdpa-iproute2 dev del ${name}`);
    // In text or JSON. Of a device that came before it watched it does not tell, or not all.
    const removed = new RegExp(`\\b${name}(: |","event":")removed`);
    const end = performance.now() + patienceMs;
    while (!removed.test(told())) {
      if (performance.now() >= end) return false;
      await sleep(10);
    }
    return true;
  });
}
