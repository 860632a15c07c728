/** Many command lines, like `ip -batch`: one process, one socket. */
import { availableParallelism } from 'node:os';
import { batchLines, splitArguments } from './batch-lines.js';
import type { Branch } from './branch.js';
import { Connection } from './connection.js';
import { dispatch, helpOn } from './dispatch.js';
import { UsageError } from './error.js';
import { openInput } from './input.js';
import type { Io } from './io.js';
import { parseOptions, type ParsedLine } from './options.js';
import { endedBySignal } from './report.js';
import { attempt, close, runCommand, printHelp, printVersion } from './run-line.js';

/** A batch, described by the options of the command line. */
type Batch = Extract<ParsedLine, { kind: 'batch' }>;

/**
 * Runs the lines of a file, each with the arguments of `vdpa`. The options of the batch apply to every line, and a line
 * may have its own. The output of a line is written before the next one runs. The first line that fails ends the batch,
 * unless `force` is set.
 */
export async function runBatch(batch: Batch, io: Io, tree: Branch): Promise<number> {
  if (availableParallelism() === 1) forgoOptimization();
  const connection = new Connection(io, batch.options);
  const status = await attempt(io, () => runLines(batch, io, connection, tree));
  return Math.max(status, await close(connection, io));
}

/**
 * Disables the optimizing compiler of V8, which runs in parallel: without a spare processor it pays off only after
 * thousands of lines. Loading node:v8 takes more than 1 ms, too much for a single command.
 */
function forgoOptimization(): void {
  process.getBuiltinModule('node:v8').setFlagsFromString('--no-opt');
}

async function runLines(batch: Batch, io: Io, connection: Connection, tree: Branch): Promise<number> {
  const { file, force } = batch;
  const input = openInput(file);
  let worst = 0;
  try {
    for (const { number, text } of batchLines((buffer) => input.read(buffer))) {
      const status = await attempt(io, () => runText(text, batch, io, connection, tree));
      if (status === 0) continue;
      // The reader of the output is gone, or a signal arrived.
      if (status > endedBySignal) return status;
      io.stderr(`Command failed ${file}:${number}\n`);
      worst = status;
      if (!force) break;
    }
  } finally {
    input.close();
  }
  return worst;
}

/** Runs one line of a batch; a line without arguments does nothing. */
async function runText(
  text: string,
  { options }: Batch,
  io: Io,
  connection: Connection,
  tree: Branch,
): Promise<number> {
  const args = splitArguments(text);
  if (args.length === 0) return 0;
  const line = parseOptions(args, io.env, options);
  switch (line.kind) {
    case 'version':
      return printVersion(io);
    case 'help':
      return printHelp(await helpOn(line.args, tree), io);
    case 'batch':
      throw new UsageError('Nested batches are not supported');
    case 'command':
      if (line.options.sim !== options.sim || line.options.trace !== options.trace) {
        throw new UsageError('--sim and --trace apply to the whole batch: give them on the command line');
      }
      return await runCommand(line, io, connection, (session, args) => dispatch(session, args, tree));
  }
}
