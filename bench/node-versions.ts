import { LabError } from '../lab/host.js';
import type { NodeVersion } from '../lab/node-versions.js';
import { NODE_MAJORS, fetchNode } from '../lab/node-versions.js';
import { leaveOut } from './report.js';

/** The available versions of Node with which the program is measured. */
export async function nodeVersions(): Promise<NodeVersion[]> {
  const found: NodeVersion[] = [];
  for (const major of NODE_MAJORS) {
    try {
      found.push(await fetchNode(major));
    } catch (error) {
      if (!(error instanceof LabError)) throw error;
      leaveOut(`Node ${major}`, error.message);
    }
  }
  return found;
}
