import { existsSync, readFileSync } from 'node:fs';
import type { MachineKind } from '../../../../lab/machine/machine.js';
import { isMachineKind } from '../../../../lab/machine/machine.js';

/** The machine of the lab that this process runs inside, as lab/init.sh names it; undefined outside. */
export function machineHere(): MachineKind | undefined {
  const file = '/run/lab-machine';
  const word = existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
  return isMachineKind(word) ? word : undefined;
}
