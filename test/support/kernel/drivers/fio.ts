import '../lab/inside.js';
import assert from 'node:assert/strict';
import { start } from '../servers/vduse.js';

interface Transfers {
  readonly total_ios: number;
  readonly io_bytes: number;
}

/** What fio(1) reports about one of its jobs, with `--output-format=json`. */
export interface FioJob {
  readonly error: number;
  readonly read: Transfers;
  readonly write: Transfers;
}

/** Runs fio with this many jobs, none of which may find an error. @returns the report of each job */
export async function fio(jobs: number, ...options: readonly string[]): Promise<readonly FioJob[]> {
  const { status, stdout, stderr } = await start('fio', ...options, `--numjobs=${jobs}`, '--output-format=json');
  assert.equal(status, 0, stdout + stderr);
  const report = (JSON.parse(stdout.slice(stdout.indexOf('{'))) as { readonly jobs: readonly FioJob[] }).jobs;
  assert.equal(report.length, jobs);
  for (const { error } of report) assert.equal(error, 0);
  return report;
}

/** The requests and the bytes read of all jobs. */
export function totals(jobs: readonly FioJob[]): { readonly requests: number; readonly bytesRead: number } {
  return jobs.reduce(
    ({ requests, bytesRead }, { read, write }) => ({
      requests: requests + read.total_ios + write.total_ios,
      bytesRead: bytesRead + read.io_bytes,
    }),
    { requests: 0, bytesRead: 0 },
  );
}
