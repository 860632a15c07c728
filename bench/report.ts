/** One line of the table that a bench prints. */
export interface Row {
  readonly what: string;
  readonly ours: string;
  /** What it is compared with, and the result of that. */
  readonly against: string;
  /** Ours divided by the other's, or whatever the goal is about. */
  readonly figure: number;
  readonly goal: { readonly atMost: number } | { readonly atLeast: number };
  /** The unit of the figure and the goal: `times`, `s` …; a ratio by default. */
  readonly unit?: string;
}

/** A rate: `12,345/s`. */
export function perSecond(rate: number): string {
  return `${Math.round(rate).toLocaleString('en')}/s`;
}

/** Prints rows as a Markdown table. */
export function printTable(title: string, rows: readonly Row[]): void {
  if (rows.length === 0) return;
  console.log(`\n## ${title}\n`);
  console.log('| | vdpa | against | | goal | |');
  console.log('| --- | --- | --- | --- | --- | --- |');
  for (const { what, ours, against, figure, goal, unit = '' } of rows) {
    const met = 'atMost' in goal ? figure <= goal.atMost : figure >= goal.atLeast;
    const wanted = 'atMost' in goal ? `≤ ${number(goal.atMost)}` : `≥ ${number(goal.atLeast)}`;
    console.log(
      `| ${what} | ${ours} | ${against} | ${number(figure)} ${unit} | ${wanted} ${unit} | ${met ? 'met' : 'missed'} |`,
    );
  }
}

/** Reports in one line that a part cannot be measured here. */
export function leaveOut(what: string, why: string): void {
  console.log(`\nLeft out: ${what}: ${why.trim().split('\n')[0] ?? ''}`);
}

export function milliseconds(value: number): string {
  return value < 1000 ? `${value.toFixed(1)} ms` : `${(value / 1000).toFixed(2)} s`;
}

export function mebibytes(kibibytes: number): string {
  return `${(kibibytes / 1024).toFixed(1)} MiB`;
}

function number(value: number): string {
  return value >= 1000 ? Math.round(value).toLocaleString('en') : value.toFixed(2).replace(/\.?0+$/, '');
}
