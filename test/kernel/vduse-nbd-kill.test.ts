import { killNbdServer, killOnNbd } from '../support/kernel/drivers/kill-in-flight.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';

const { describe, test } = testsWith(VDUSE, 'nbdkit', 'fio');

const KILLS = Number(process.env['VDPA_KILLS'] ?? 5);
const SEED = Number(process.env['VDPA_KILL_SEED'] ?? Math.floor(Date.now() / 86_400_000));

describe('a disk on an NBD server, under fio --verify', () => {
  test(`the NBD server killed ${KILLS} times: no error, every block verified`, (context) =>
    killNbdServer(context, KILLS, SEED));

  test(`the server of vdpa killed ${KILLS} times: no error, every block verified`, (context) =>
    killOnNbd(context, KILLS, SEED));
});
