/** The simulated machine cannot be used as it is described or kept: its state file, its description, its variables. */
export class SimulationError extends Error {
  override readonly name = 'SimulationError';
}
