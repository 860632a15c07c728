/**
 * Metrics for Prometheus: the text format 0.0.4, with the end of OpenMetrics. Counters are declared with the name of their
 * samples (`…_total`), as promtool expects.
 */

/** The kind of a metric. The samples of a summary are its quantiles, its sum and its count. */
export type MetricType = 'counter' | 'gauge' | 'summary';
export type Labels = Readonly<Record<string, string>>;

interface Family {
  readonly type: MetricType;
  readonly help: string;
  readonly samples: string[];
}

/** Collects samples, by metric in the order of their first ones. */
export class Metrics {
  readonly #families = new Map<string, Family>();

  /** @param suffix of the name of the sample, for the sum and the count of a summary */
  put(name: string, type: MetricType, help: string, labels: Labels, value: bigint | number, suffix = ''): void {
    let family = this.#families.get(name);
    if (!family) this.#families.set(name, (family = { type, help, samples: [] }));
    family.samples.push(`${name}${suffix}${formatLabels(labels)} ${value}`);
  }

  format(): string {
    const lines = Array.from(this.#families, ([name, { type, help, samples }]) => [
      `# HELP ${name} ${help}`,
      `# TYPE ${name} ${type}`,
      ...samples,
    ]);
    return [...lines.flat(), '# EOF', ''].join('\n');
  }
}

function formatLabels(labels: Labels): string {
  const escaped = (value: string): string =>
    value
      // Bytes that are not UTF-8, which the format requires.
      .replace(/[\ud800-\udfff]/gu, '\ufffd')
      .replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`));
  const words = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return `{${words.join(',')}}`;
}
