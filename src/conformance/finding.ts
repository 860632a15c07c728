/** How a check fails, and the comparisons that do. */

/** What was done, what the device did, and what it should have done. */
export interface Finding {
  readonly sent: string;
  readonly came: string;
  readonly expected: string;
}

/** A device does not keep a rule. */
export class CheckFailure extends Error {
  override readonly name = 'CheckFailure';
  readonly finding: Finding;

  constructor(finding: Finding) {
    super(`${finding.sent}: ${finding.came}, expected ${finding.expected}`);
    this.finding = finding;
  }
}

/** A check cannot be made on this device, for a reason that shows only while it runs. */
export class NotApplicable extends Error {
  override readonly name = 'NotApplicable';
}

/** @throws CheckFailure if `came` is not `expected` */
export function expectEqual(
  sent: string,
  came: string | number | bigint | boolean,
  expected: string | number | bigint | boolean,
): void {
  if (came !== expected) throw new CheckFailure({ sent, came: String(came), expected: String(expected) });
}

/** @throws CheckFailure if a condition does not hold */
export function expectThat(holds: boolean, finding: Finding): void {
  if (!holds) throw new CheckFailure(finding);
}

/** @throws CheckFailure if the bytes differ, with the first place */
export function expectBytes(sent: string, came: Uint8Array, expected: Uint8Array): void {
  const at = expected.findIndex((byte, index) => came[index] !== byte);
  if (at < 0 && came.length === expected.length) return;
  const place = at < 0 ? Math.min(came.length, expected.length) : at;
  throw new CheckFailure({
    sent,
    came: `${came.length} bytes, with ${came[place] ?? 'nothing'} at ${place}`,
    expected: `${expected.length} bytes, with ${expected[place] ?? 'nothing'} there`,
  });
}
