/** Which checks to run. */
import type { Check } from './check.js';

/** What a command line asks for. */
export interface Selection {
  /** Run only the checks with this name, or whose name begins with it and a dash. */
  readonly only?: string;
  /** Run all others. */
  readonly skip?: string;
  /** Run hostile checks as well. */
  readonly hostile?: boolean;
}

/** The first words of the names of all checks. */
export const checkGroups = [
  'status',
  'features',
  'config',
  'queue',
  'split',
  'packed',
  'iotlb',
  'suspend',
  'block',
  'net',
  'hostile',
] as const;

/** The checks that are selected, in their order. */
export function selectChecks(checks: readonly Check[], { only, skip, hostile = false }: Selection): Check[] {
  return checks.filter(
    (check) =>
      (only === undefined || isNamed(check, only)) &&
      (skip === undefined || !isNamed(check, skip)) &&
      (hostile || check.isHostile !== true),
  );
}

function isNamed(check: Check, name: string): boolean {
  return check.name === name || check.name.startsWith(`${name}-`);
}
