import type { TestContext } from 'node:test';

/** How a program ended. */
export interface Ended {
  readonly status: number | null;
  readonly stderr: string;
}

/** Skips the test if npm failed because it cannot reach its registry. @returns whether that is the case */
export function isOffline({ status, stderr }: Ended, context: TestContext): boolean {
  if (status === 0) return false;
  const reason = /^.*\b(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT)\b.*$/m.exec(stderr)?.[0];
  if (reason === undefined) return false;
  context.skip(`npm's registry cannot be reached: ${reason}`);
  return true;
}
