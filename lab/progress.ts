/** Prints a line on standard error, which leaves standard output to the command in the lab. */
export function say(line: string): void {
  process.stderr.write(`lab: ${line}\n`);
}

/**
 * A progress line: overwritten on a terminal, and repeated every 20 s elsewhere (in a CI log).
 */
export class Progress {
  private readonly start = Date.now();
  private readonly label: string;
  private last = 0;

  constructor(label: string) {
    this.label = label;
  }

  update(text: string): void {
    const now = Date.now();
    if (now - this.last < (process.stderr.isTTY ? 100 : 20_000)) return;
    this.last = now;
    const line = `lab: ${this.label}: ${text}, ${duration(now - this.start)}`;
    process.stderr.write(
      process.stderr.isTTY ? `\r\x1b[K${line.slice(0, (process.stderr.columns || 80) - 1)}` : `${line}\n`,
    );
  }

  done(): void {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
    say(`${this.label}: done in ${duration(Date.now() - this.start)}`);
  }
}

/** Formats milliseconds: 47 s, 3 min 5 s. */
function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
