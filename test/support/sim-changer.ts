/**
 * Changes the simulated machine that the environment names, as fast as it can: a process for tests that run many at the same
 * time, or kill them. Arguments: `add NAME…` adds these devices, `churn PREFIX` adds and deletes devices until it is stopped.
 * After each change is acknowledged, it prints a line: `+NAME` or `-NAME`.
 */
import { writeSync } from 'node:fs';
import { Simulation } from '../../src/sim/simulation.js';
import { VdpaClient } from '../../src/vdpa/client.js';

const [task, ...names] = process.argv.slice(2);
const client = await VdpaClient.open({ transport: await new Simulation(process.env).open() });

async function add(name: string): Promise<void> {
  await client.addDevice({ name, managementDevice: 'vdpasim_net' });
  writeSync(1, `+${name}\n`);
}

async function remove(name: string): Promise<void> {
  await client.deleteDevice(name);
  writeSync(1, `-${name}\n`);
}

if (task === 'churn') {
  const prefix = names[0] ?? '';
  for (let count = 0; ; count++) {
    await add(`${prefix}-${count}`);
    if (count % 3 === 2) await remove(`${prefix}-${count}`);
  }
}
for (const name of names) await add(name);
await client.close();
