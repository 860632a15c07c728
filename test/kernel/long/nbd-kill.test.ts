import { killNbdServer, killOnNbd } from '../../support/kernel/drivers/kill-in-flight.js';
import { testsWith, VDUSE } from '../../support/kernel/lab/needs.js';

const { test } = testsWith(VDUSE, 'nbdkit', 'fio');

test('an NBD server killed 50 times under fio --verify: no error, every block verified', (context) =>
  killNbdServer(context, 50, Date.now() % 2 ** 31));

test('50 servers of a disk on an NBD server killed: no error, every block verified', (context) =>
  killOnNbd(context, 50, Date.now() % 2 ** 31));
