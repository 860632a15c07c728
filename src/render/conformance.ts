/** The results of `vdpa dev test`: as text, JSON, TAP and JUnit XML. */
import type { CheckResult, Report } from '../conformance/suite.js';
import { renderRows, type Printer } from './printer.js';
import { escapeXml } from './xml.js';

type Kind = CheckResult['outcome']['kind'];

const kinds: readonly Kind[] = ['passed', 'failed', 'not applicable'];
const keys = { passed: 'passed', failed: 'failed', 'not applicable': 'not_applicable' } as const;
const labels = { passed: 'passed', failed: 'FAILED', 'not applicable': 'n/a   ' } as const;

type Tally = Record<Kind, number>;

function tally(results: readonly CheckResult[]): Tally {
  const counts: Tally = { passed: 0, failed: 0, 'not applicable': 0 };
  for (const { outcome } of results) counts[outcome.kind]++;
  return counts;
}

/** By clause, in the order of the specification. */
function byClause(results: readonly CheckResult[]): [string, Tally][] {
  const clauses = new Map<string, CheckResult[]>();
  for (const result of results) {
    const others = clauses.get(result.check.clause);
    if (others) others.push(result);
    else clauses.set(result.check.clause, [result]);
  }
  return [...clauses]
    .sort(([one], [other]) => one.localeCompare(other, 'en', { numeric: true }))
    .map(([clause, group]) => [clause, tally(group)]);
}

/** One result as text: a line, and what was found if it failed. */
export function formatResult({ check, outcome }: CheckResult): string {
  const { name, clause, rule } = check;
  const line = `${labels[outcome.kind]}  ${name} (${clause})`;
  switch (outcome.kind) {
    case 'passed':
      return `${line}\n`;
    case 'not applicable':
      return `${line}: ${outcome.reason}\n`;
    case 'failed': {
      const { sent, came, expected } = outcome.finding;
      return `${line}: ${rule}\n  sent      ${sent}\n  came      ${came}\n  expected  ${expected}\n`;
    }
  }
}

/** The end of the text: a line a clause, the features without a check, and the sum. */
export function formatSummary({ results, uncovered }: Report): string {
  const clauses = byClause(results).map(([clause, counts]) => `section ${clause}: ${formatTally(counts)}\n`);
  const rest = uncovered.length === 0 ? '' : `offered, but covered by no check: ${uncovered.join(' ')}\n`;
  return `\n${clauses.join('')}${rest}${formatTally(tally(results))}\n`;
}

function formatTally(counts: Tally): string {
  return kinds
    .filter((kind) => counts[kind] > 0)
    .map((kind) => `${counts[kind]} ${kind}`)
    .join(', ');
}

/** Prints the report of a device in JSON. */
export function renderReport(printer: Printer, name: string, { results, uncovered }: Report): void {
  printer.openSection('test');
  printer.openRecord(name);
  renderRows(printer, 'checks', results, ({ check, outcome, duration }) => {
    printer.string('name', check.name, '');
    printer.string('clause', check.clause, ' ');
    printer.string('rule', check.rule, ' ');
    printer.string('result', keys[outcome.kind], ' ');
    printer.number('milliseconds', Math.round(duration), ' ');
    if (outcome.kind === 'not applicable') printer.string('reason', outcome.reason, ' ');
    if (outcome.kind !== 'failed') return;
    const { sent, came, expected } = outcome.finding;
    printer.string('sent', sent, ' ');
    printer.string('came', came, ' ');
    printer.string('expected', expected, ' ');
  });
  renderRows(printer, 'clauses', byClause(results), ([clause, counts]) => {
    printer.string('clause', clause, '');
    renderTally(printer, counts);
  });
  printer.openList('uncovered_features');
  for (const feature of uncovered) printer.item(feature);
  printer.closeList();
  renderTally(printer, tally(results));
  printer.closeRecord();
  printer.closeSection();
}

function renderTally(printer: Printer, counts: Tally): void {
  for (const kind of kinds) printer.number(keys[kind], counts[kind], ' ');
}

/** The begin of TAP, version 14 (testanything.org). The plan follows the results. */
export const tapHeader = 'TAP version 14\n';

/** One result in TAP. @param number from 1 on */
export function formatTap({ check, outcome, duration }: CheckResult, number: number): string {
  const line = `${outcome.kind === 'failed' ? 'not ok' : 'ok'} ${number} - ${check.name} (${check.clause})`;
  if (outcome.kind === 'not applicable') return `${line} # SKIP ${outcome.reason}\n`;
  if (outcome.kind === 'passed') return `${line}\n`;
  const { sent, came, expected } = outcome.finding;
  const entries = { rule: check.rule, sent, came, expected, duration_ms: Math.round(duration) };
  // Every JSON value is one of YAML.
  const lines = Object.entries(entries).map(([key, value]) => `  ${key}: ${JSON.stringify(value)}\n`);
  return `${line}\n  ---\n${lines.join('')}  ...\n`;
}

/** The end of TAP. */
export function tapTrailer({ results, uncovered }: Report): string {
  const rest = uncovered.length === 0 ? '' : `# offered, but covered by no check: ${uncovered.join(' ')}\n`;
  return `1..${results.length}\n${rest}# ${formatTally(tally(results))}\n`;
}

/** The report in JUnit's XML, as CI systems read it. */
export function formatJunit(name: string, { results, uncovered }: Report): string {
  const counts = tally(results);
  const seconds = (milliseconds: number): string => (milliseconds / 1000).toFixed(3);
  const cases = results.map(({ check, outcome, duration }) => {
    const head = `<testcase name=${quote(check.name)} classname=${quote(`virtio ${check.clause}`)} time="${seconds(duration)}"`;
    switch (outcome.kind) {
      case 'passed':
        return `    ${head}/>\n`;
      case 'not applicable':
        return `    ${head}><skipped message=${quote(outcome.reason)}/></testcase>\n`;
      case 'failed': {
        const { sent, came, expected } = outcome.finding;
        const text = escapeXml(`sent: ${sent}\ncame: ${came}\nexpected: ${expected}`);
        return `    ${head}><failure message=${quote(check.rule)}>${text}</failure></testcase>\n`;
      }
    }
  });
  const total = results.reduce((sum, { duration }) => sum + duration, 0);
  const attributes = `tests="${results.length}" failures="${counts.failed}" skipped="${counts['not applicable']}"`;
  const property = `<property name="uncovered features" value=${quote(uncovered.join(' '))}/>`;
  return `<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name=${quote(name)} ${attributes} time="${seconds(total)}">
    <properties>${property}</properties>
${cases.join('')}  </testsuite>
</testsuites>
`;
}

function quote(text: string): string {
  return `"${escapeXml(text)}"`;
}
