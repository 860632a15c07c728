/**
 * Plays the scenarios on the lab's kernel and prints its answers, for test/sim/exchanges.json:
 * npm run -s lab -- node build/test/support/kernel/lab/record-exchanges.js >test/sim/exchanges.json
 */
import './inside.js';
import { play } from '../../exchange.js';
import { KernelSocket } from '../../kernel-socket.js';
import { scenarios } from '../../scenarios.js';
import { Twins } from './twins.js';

const { familyId } = await Twins.start();
const answers = scenarios(familyId).map(({ name, steps, extendedAck = true, cappedAck = true }) => {
  const socket = new KernelSocket({ extendedAck, cappedAck });
  const answered = play(socket, steps);
  socket.close();
  return [name, answered] as const;
});
process.stdout.write(`${JSON.stringify(Object.fromEntries(answers), undefined, 1)}\n`);
