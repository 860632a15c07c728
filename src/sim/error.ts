/** The simulated machine is not usable: its state file, description or environment variables are invalid. */
export class SimulationError extends Error {
  override readonly name = 'SimulationError';
}
