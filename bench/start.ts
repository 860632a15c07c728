import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkoutRoot } from '../lab/cache.js';
import { cleanEnvironment, medianTimes, peakMemory, timeOf } from './measure.js';
import type { NodeVersion } from '../lab/node-versions.js';
import { nodeVersions } from './node-versions.js';
import { leaveOut, mebibytes, milliseconds, type Row } from './report.js';

const program = join(checkoutRoot, 'bin/vdpa.js');
const rounds = 30;
const memoryRounds = 5;

const lines = ['-V', '--sim mgmtdev show', '--sim dev show -j', '--sim dev config show -jp'];

/** One command, compared with `node -e 0` of the same Node. */
export async function measureStart(folder: string): Promise<Row[]> {
  const env = cleanEnvironment({ VDPA_SIM_STATE: join(folder, 'start.json') });
  const devices = join(folder, 'devices');
  writeFileSync(devices, ['a', 'b', 'c'].map((name) => `dev add name ${name} mgmtdev vdpasim_net\n`).join(''));
  timeOf([process.execPath, program, '--sim', '-b', devices], env);
  const versions = await nodeVersions();
  return [...versions.flatMap((node) => measureNode(node, env)), ...measureExecutable(versions, env)];
}

/** The single executable, compared with `node -e 0` of every Node: it replaces whichever the machine would have. */
function measureExecutable(versions: readonly NodeVersion[], env: NodeJS.ProcessEnv): Row[] {
  const executable = join(checkoutRoot, `release/vdpa-linux-${process.arch}`);
  if (!existsSync(executable)) {
    leaveOut('the single executable', '"npm run build:binary" makes it');
    return [];
  }
  const bare = versions.map(({ file }) => [file, '-e', '0']);
  const commands = [...bare, ...lines.map((line) => [executable, ...line.split(' ')])];
  const times = medianTimes(commands, rounds, env);
  return lines.flatMap((line, index) =>
    versions.map(({ version }, base) => {
      const time = times[versions.length + index] ?? 0;
      const bareTime = times[base] ?? 0;
      return {
        what: `\`vdpa ${line}\`, single executable`,
        ours: milliseconds(time),
        against: `\`node -e 0\` of ${version} ${milliseconds(bareTime)}`,
        figure: time / bareTime,
        goal: { atMost: 0.9 },
      };
    }),
  );
}

function measureNode({ file, version }: NodeVersion, env: NodeJS.ProcessEnv): Row[] {
  const bare = [file, '-e', '0'];
  const commands = [bare, ...lines.map((line) => [file, program, ...line.split(' ')])];
  const [bareTime = 0, ...times] = medianTimes(commands, rounds, env);
  const [bareMemory = 0, ...memories] = peakMemory(commands, memoryRounds, env);
  return lines.flatMap((line, index) => {
    const time = times[index] ?? 0;
    const memory = memories[index] ?? 0;
    return [
      {
        what: `\`vdpa ${line}\`, Node ${version}`,
        ours: milliseconds(time),
        against: `\`node -e 0\` ${milliseconds(bareTime)}`,
        figure: time / bareTime,
        goal: { atMost: 1.35 },
      },
      {
        what: 'its peak memory',
        ours: mebibytes(memory),
        against: mebibytes(bareMemory),
        figure: memory / bareMemory,
        goal: { atMost: 1.25 },
      },
    ];
  });
}
