import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GENL_ID_CTRL } from '../../src/netlink/genl-constants.js';
import { decodeMessages } from '../../src/netlink/message.js';
import type { NetlinkTransport } from '../../src/netlink/transport.js';
import type { DeviceState } from '../../src/sim/state.js';
import { VDPA_CMD_DEV_ATTR_SET, VDPA_CMD_DEV_DEL, VDPA_CMD_DEV_NEW } from '../../src/vdpa/uapi.js';
import { ArgvGenerator } from '../support/argv-generator.js';
import type { Outcome } from '../support/command-line.js';
import { Random } from '../support/random.js';
import { TestMachine } from '../support/test-machine.js';

const runs = 50_000;
const changes: readonly number[] = [VDPA_CMD_DEV_NEW, VDPA_CMD_DEV_DEL, VDPA_CMD_DEV_ATTR_SET];

/** What a run has done, beside what it said. */
interface Run extends Outcome {
  /** How many requests it has sent that change something. */
  readonly changesSent: number;
  readonly before: readonly DeviceState[];
  readonly after: readonly DeviceState[];
}

async function run(machine: TestMachine, argv: readonly string[], env: NodeJS.ProcessEnv): Promise<Run> {
  let changesSent = 0;
  const openTransport = (): NetlinkTransport => {
    const transport = machine.openTransport();
    return {
      port: transport.port,
      send: (datagram) => {
        for (const { type, payload } of decodeMessages(datagram)) {
          if (type !== GENL_ID_CTRL && changes.includes(payload[0] ?? 0)) changesSent++;
        }
        return transport.send(datagram);
      },
      receive: (timeoutMs) => transport.receive(timeoutMs),
      close: () => transport.close(),
    };
  };
  const before = machine.store.read().devices;
  const outcome = await machine.vdpa(argv, { env: { VDPA_SIM: '1', ...env }, openTransport });
  return { ...outcome, changesSent, before, after: machine.store.read().devices };
}

/** What is wrong with a run, if anything. */
function complaint(
  argv: readonly string[],
  { status, stdout, stderr, changesSent, before, after }: Run,
): string | undefined {
  if (status !== 0 && status !== 1) return `status ${status}`;
  if (/^ {4}at /m.test(stderr) || stderr.includes('fault of vdpa itself')) return 'a fault';
  if (status === 1 && stderr === '') return 'fails without a word';
  if (status === 1 && JSON.stringify(after) !== JSON.stringify(before)) return 'a refused line has changed something';
  if (changesSent > 1) return 'more than one change';
  if (changesSent === 0 && after !== before) return 'a change that was not asked for';
  if (Math.abs(after.length - before.length) > 1) return 'more than one device came or went';
  if (argv.includes('-j') && !argv.includes('--') && stdout.startsWith('{')) JSON.parse(stdout);
  return undefined;
}

test(`${runs} command lines of all kinds: no fault, status 0 or 1, never a half-done change`, async (context) => {
  const generator = await ArgvGenerator.create(new Random(20_260_101));
  const machine = new TestMachine();
  const statuses = [0, 0];
  let changed = 0;
  for (let index = 0; index < runs; index++) {
    const argv = generator.next();
    const env = index % 50 === 0 ? { POSIXLY_CORRECT: '1' } : {};
    const result = await run(machine, argv, env);
    const wrong = complaint(argv, result);
    if (wrong !== undefined) assert.fail(`${JSON.stringify(argv)}: ${wrong}: ${JSON.stringify(result).slice(0, 2000)}`);
    statuses[result.status] = (statuses[result.status] ?? 0) + 1;
    if (result.after !== result.before) changed++;
  }
  context.diagnostic(`${statuses[0] ?? 0} succeeded, ${statuses[1] ?? 0} failed, ${changed} changed something`);
  assert.ok(statuses.every((count) => count > runs / 5) && changed > runs / 100);
});
