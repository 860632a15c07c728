/** Runs examples in documents, which must print the output that follows them. */
import './inside.js';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';
import { isEndless, outputPattern, type Example } from '../../examples.js';
import { untilWatching } from './until-watching.js';
import { until } from '../servers/vduse.js';

/** An example that is being run. */
export class RunningExample {
  readonly #example: Example;
  readonly #child;
  #printed = '';

  /** @param cwd the working folder */
  constructor(example: Example, cwd: string, variables: NodeJS.ProcessEnv = {}) {
    this.#example = example;
    this.#child = spawn('bash', ['-c', `exec ${example.command}`], {
      cwd,
      env: { ...process.env, ...variables },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (this.#printed += stripVTControlCharacters(text)));
    }
  }

  /** Waits until a monitor watches, and discards what it has printed until then. */
  async watches(): Promise<void> {
    await untilWatching(() => this.#printed);
    this.#printed = '';
  }

  /** Waits until everything in the example is printed, and until a finite command exits. */
  async finish(): Promise<void> {
    const { command, output } = this.#example;
    const closed = new Promise<void>((resolve) =>
      this.#child.once('close', () => {
        resolve();
      }),
    );
    if (isEndless(command)) {
      await until(`"${command}" prints the output that follows it:\n${output.join('\n')}`, () => this.#fits());
      this.#child.kill();
    }
    await closed;
    assert.ok(this.#fits(), `${command}\n${this.#printed}\ndiffers from the example:\n${output.join('\n')}`);
  }

  #fits(): boolean {
    return outputPattern(this.#example.output).test(this.#printed);
  }
}
