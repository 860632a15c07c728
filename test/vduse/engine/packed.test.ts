/** The tests of a data thread again, with packed queues. */
import { defaultForm } from '../../support/queue-and-driver.js';

defaultForm.packed = true;
await import('./thread.test.js');
await import('./transfers.test.js');
