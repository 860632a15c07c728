/** The tests of block data planes again, with packed queues. */
import { defaultForm } from '../../support/queue-and-driver.js';

defaultForm.packed = true;
await import('./requests.test.js');
await import('./data-plane.test.js');
await import('./storage.test.js');
await import('./power-failure.test.js');
await import('./backends/async-file.test.js');
await import('./backends/file-transfers.test.js');
