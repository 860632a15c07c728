/** A data plane whose thread ends when it is asked to change. */
import { QUIET, type DataPlane } from '../../src/vduse/engine/data-plane.js';

export const createDataPlane = (): DataPlane => ({
  start: () => undefined,
  serve: () => QUIET,
  change: () => process.exit(3),
  close: () => undefined,
});
