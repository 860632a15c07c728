import '../support/kernel/lab/inside.js';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { ServerProcess } from '../support/kernel/servers/server-process.js';
import { attach, bash, detach, diskOf, sh, until } from '../support/kernel/servers/vduse.js';

const { describe, test } = testsWith(VDUSE);

/** Processor time that a process has used, in ticks of 10 ms. */
function ticks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const [, , , , , , , , , , , user, system] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(user) + Number(system);
}

describe('an idle VDUSE device', () => {
  for (const used of [false, true]) {
    test(`its server uses no processor time${used ? ', having had much to do' : ''}`, async () => {
      const path = '/tmp/idle.img';
      await bash(`truncate -s 16M ${path}`);
      const server = await ServerProcess.start({ name: 'idle0', backend: { type: 'file', path } });
      await attach('idle0');
      const disk = await diskOf('idle0');
      // Direct reads, one after another: after each, the server polls for the next one.
      if (used) await sh(`dd if=${disk} of=/dev/null bs=4k iflag=direct status=none`);
      // A server that kept polling would use 100 ticks a second. What Node itself does occasionally is little.
      await until('the server rests for a second', async () => {
        const before = ticks(server.pid);
        await sleep(1000);
        return ticks(server.pid) - before <= 1;
      });
      await detach('idle0');
      await server.stop();
    });
  }
});
