/**
 * Changes in a state file. A process with many changes does not write the whole state for each of them: it appends one
 * line per change to the state, `+` and JSON, and finally replaces them with the whole state.
 */
import { parseJson } from './json.js';
import type { KernelState, SimState } from './model.js';

/** The lists of a state that change while a machine runs. */
const lists = ['devices', 'vduse', 'files', 'fault_hits', 'holders'] as const;

/** The index in a list, the number of entries removed, and the entries inserted: the arguments of Array.splice(). */
type Splice = readonly [start: number, removed: number, ...added: readonly unknown[]];

/** The changed lists, and the counters of the kernel if any of them changed. */
type Change = Partial<Record<(typeof lists)[number], Splice>> & { kernel?: KernelState };

/** The prefix of each change. No line of a state starts with it, whatever the layout of its JSON. */
const mark = '+';

/** Splits the text of a state file into the state and the changes after it. */
export function splitChanges(text: string): { readonly state: string; readonly changes: readonly string[] } {
  const start = text.indexOf(`\n${mark}`) + 1;
  if (start === 0) return { state: text, changes: [] };
  // The last one is empty, or an incomplete change.
  const changes = text.slice(start).split('\n').slice(0, -1);
  return { state: text.slice(0, start), changes };
}

/**
 * The line that changes `before` to `after`; undefined if they are equal. Entries are replaced, never changed in place.
 */
export function describeChange(before: SimState, after: SimState): string | undefined {
  const change: Change = {};
  for (const list of lists) {
    const splice = compare(before[list], after[list]);
    if (splice !== undefined) change[list] = splice;
  }
  if (before.kernel !== after.kernel) change.kernel = after.kernel;
  return Object.keys(change).length === 0 ? undefined : `${mark}${JSON.stringify(change)}\n`;
}

function compare(before: readonly unknown[], after: readonly unknown[]): Splice | undefined {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start++;
  let same = 0;
  const most = Math.min(before.length, after.length) - start;
  while (same < most && before[before.length - 1 - same] === after[after.length - 1 - same]) same++;
  const removed = before.length - same - start;
  const added = after.slice(start, after.length - same);
  return removed === 0 && added.length === 0 ? undefined : [start, removed, ...added];
}

/** Applies the change of a line without validation: the state must be validated after the last one. */
export function applyChange(state: unknown, line: string): void {
  const change: unknown = line.startsWith(mark) ? parseJson(line.slice(mark.length)) : undefined;
  if (!isObject(state) || !isObject(change)) throw new SyntaxError('a line after the state is not a change');
  for (const [list, splice] of Object.entries(change)) {
    if (list === 'kernel') {
      state[list] = splice;
      continue;
    }
    const entries = state[list];
    if (!Array.isArray(entries) || !isSplice(splice, entries.length)) {
      throw new SyntaxError(`a change of ${list} does not match the state`);
    }
    const [start, removed, ...added] = splice;
    entries.splice(start, removed, ...added);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isSplice(value: unknown, length: number): value is Splice {
  if (!Array.isArray(value)) return false;
  const values: readonly unknown[] = value;
  const [start, removed] = values;
  return isCount(start) && isCount(removed) && start + removed <= length;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
