/** Every deliberate fault of a device is found by a check, which passes without the fault (dev-test.test.ts). */
import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { allChecks } from '../../src/conformance/catalogue.js';
import type { Check } from '../../src/conformance/check.js';
import { selectChecks } from '../../src/conformance/select.js';
import { runChecks, type CheckResult } from '../../src/conformance/suite.js';
import { testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { faultless, mutants, TAP } from '../support/kernel/servers/mutants.js';
import { attach, detach, giveToVhost, sh } from '../support/kernel/servers/vduse.js';

const { after, before, describe, test } = testsWith(VDUSE);

/** virtio_blk reads partitions of a new disk, and would wait for a broken one for ever. */
const AUTOPROBE = '/sys/bus/vdpa/drivers_autoprobe';

/** Serves a device in another process and runs checks on it. */
async function resultsOf(mutant: string, checks: readonly Check[]): Promise<readonly CheckResult[]> {
  const script = fileURLToPath(new URL('../support/kernel/servers/mutant-server.js', import.meta.url));
  const server = fork(script, [mutant], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const closed = once(server, 'close');
  const [message] = (await Promise.race([once(server, 'message'), closed])) as unknown[];
  assert.equal(message, 'ready');
  try {
    await attach('mutant0');
    const isTap = { ...mutants, ...faultless }[mutant]?.type === 'tap';
    if (isTap) await sh(`ip link set ${TAP} up`);
    return (await runChecks(await giveToVhost('mutant0'), checks, isTap ? { peer: TAP } : {})).results;
  } finally {
    await detach('mutant0');
    server.send('stop');
    await closed;
  }
}

describe('deliberate faults', () => {
  before(() => {
    writeFileSync(AUTOPROBE, '0');
  });
  after(() => {
    writeFileSync(AUTOPROBE, '1');
  });

  for (const name of Object.keys(faultless)) {
    test(`none: every check of a ${name} device that finds one passes`, async () => {
      const ofType = Object.values(mutants).filter(({ type }) => type === name);
      const names = new Set(ofType.map(({ check }) => check));
      const results = await resultsOf(
        name,
        allChecks.filter((check) => names.has(check.name)),
      );
      const failed = results.filter(({ outcome }) => outcome.kind === 'failed');
      assert.deepEqual(failed, []);
      assert.equal(results.length, names.size);
    });
  }

  for (const [name, { check }] of Object.entries(mutants)) {
    test(`${name}: ${check}`, async () => {
      const [result] = await resultsOf(name, selectChecks(allChecks, { only: check }));
      assert.equal(result?.check.name, check);
      assert.equal(result.outcome.kind, 'failed', JSON.stringify(result.outcome));
    });
  }
});
