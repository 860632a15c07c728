/** The tests of network data planes again, with packed queues. */
import { defaultForm } from '../../support/queue-and-driver.js';

defaultForm.packed = true;
await import('./loopback.test.js');
await import('./receive-window.test.js');
await import('./receive-batch.test.js');
await import('./tap-backend.test.js');
