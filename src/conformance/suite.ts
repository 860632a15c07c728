/** Runs checks on a device and collects what they find. */
import { setImmediate } from 'node:timers/promises';
import { SystemError } from '../sys/error.js';
import { featureMask } from '../virtio/feature-mask.js';
import { featureBits, featureName } from '../virtio/features.js';
import { UsedRingError } from '../virtio/driver/ring-driver.js';
import { DriverError } from '../vhost/error.js';
import { VhostDriver } from '../vhost/driver.js';
import { VhostVdpa } from '../vhost/device.js';
import type { Check, Requirements } from './check.js';
import { CheckFailure, NotApplicable, type Finding } from './finding.js';
import { CheckContext, driverQueues } from './context.js';
import { DeviceStopped, PeerError } from './error.js';
import { Peer } from './peer.js';
import { readTarget, type Target } from '../vhost/target.js';

/** Errors of an open that say that the device does not answer the reset, or is gone. */
const STOPPED: ReadonlySet<string> = new Set(['EIO', 'ENODEV', 'ENOENT', 'ENXIO']);

/** How a check has ended. */
export type Outcome =
  | { readonly kind: 'passed' }
  | { readonly kind: 'failed'; readonly finding: Finding }
  | { readonly kind: 'not applicable'; readonly reason: string };

/** The result of a check. */
export interface CheckResult {
  readonly check: Pick<Check, 'name' | 'clause' | 'rule'>;
  readonly outcome: Outcome;
  /** In milliseconds. */
  readonly duration: number;
}

/** What was found on a device. */
export interface Report {
  readonly results: readonly CheckResult[];
  /** Features that the device offers and no check has covered, by name, or by bit if they have none. */
  readonly uncovered: readonly (string | number)[];
}

/** Options of {@link runChecks}. */
export interface SuiteOptions {
  /** Called before each check, and after it. */
  readonly onStart?: (check: Check, index: number, count: number) => void;
  readonly onResult?: (result: CheckResult) => void;
  /** The interface to which a network device is connected. */
  readonly peer?: string;
  /** Ends the run between two checks: it rejects with the reason of the signal. */
  readonly signal?: AbortSignal;
}

/**
 * Runs the checks for the type of a device, one after another: each opens the node anew, which resets the device. Once that is
 * not possible, because the device has stopped at a check, one check fails and the rest does not apply.
 * @param node `/dev/vhost-vdpa-0`
 * @throws SystemError if the node or the peer cannot be opened; PeerError; the reason of the signal
 */
export async function runChecks(node: string, checks: readonly Check[], options: SuiteOptions = {}): Promise<Report> {
  const peer = options.peer === undefined ? undefined : new Peer(options.peer);
  try {
    return await runWithPeer(node, checks, options, peer);
  } finally {
    peer?.close();
  }
}

async function runWithPeer(
  node: string,
  checks: readonly Check[],
  options: SuiteOptions,
  peer: Peer | undefined,
): Promise<Report> {
  const vhost = new VhostVdpa(node);
  let target: Target;
  try {
    target = readTarget(vhost);
  } finally {
    vhost.close();
  }
  if (peer && target.type !== 'net') throw new PeerError('"peer" is for network devices');
  const results: CheckResult[] = [];
  let covered = 0n;
  let hasStopped = false;
  const outcomeOn = (check: Check): Outcome => {
    if (hasStopped) return { kind: 'not applicable', reason: 'the device does not open any more' };
    try {
      return runCheck(node, target, check, peer);
    } catch (error) {
      if (!(error instanceof DeviceStopped)) throw error;
      hasStopped = true;
      const last = results.findLast(({ outcome }) => outcome.kind !== 'not applicable')?.check.name ?? 'an open';
      const sent = `an open, which resets the device, after ${last}`;
      return { kind: 'failed', finding: { sent, came: error.message, expected: 'success' } };
    }
  };
  const fitting = checks.filter((check) => isForType(target, check));
  for (const [index, check] of fitting.entries()) {
    // Signals arrive between checks, which block the thread.
    await setImmediate();
    options.signal?.throwIfAborted();
    options.onStart?.(check, index, fitting.length);
    const begin = performance.now();
    const outcome = outcomeOn(check);
    const { name, clause, rule } = check;
    const result = { check: { name, clause, rule }, outcome, duration: performance.now() - begin };
    results.push(result);
    options.onResult?.(result);
    if (outcome.kind !== 'not applicable') covered |= coveredBy(target, check);
  }
  options.signal?.throwIfAborted();
  const uncovered = featureBits(target.features & ~covered).map((bit) => featureName(bit, target.deviceId) ?? bit);
  return { results, uncovered };
}

/** @throws DeviceStopped; errors that the device has not caused */
function runCheck(node: string, target: Target, check: Check, peer: Peer | undefined): Outcome {
  const reason = whyNot(target, check.requires ?? {});
  if (reason !== undefined) return { kind: 'not applicable', reason };
  const driver = openDriver(node, target);
  try {
    check.run(new CheckContext(target, driver, peer));
    return { kind: 'passed' };
  } catch (error) {
    return outcomeOf(error, check);
  } finally {
    driver.close();
  }
}

function openDriver(node: string, target: Target): VhostDriver {
  try {
    return new VhostDriver(node, { queues: driverQueues(target) });
  } catch (error) {
    if (error instanceof SystemError && STOPPED.has(error.code)) throw new DeviceStopped(error.message);
    throw error;
  }
}

/** @throws errors that the device has not caused */
function outcomeOf(error: unknown, { rule }: Check): Outcome {
  if (error instanceof NotApplicable) return { kind: 'not applicable', reason: error.message };
  if (error instanceof CheckFailure) return { kind: 'failed', finding: error.finding };
  if (error instanceof DriverError || error instanceof UsedRingError || error instanceof SystemError) {
    return {
      kind: 'failed',
      finding: { sent: 'requests as a driver makes them', came: error.message, expected: rule },
    };
  }
  throw error;
}

/** Why a check does not apply; undefined if it does. */
function whyNot(target: Target, { type, features = [], without = [], backend = [] }: Requirements): string | undefined {
  if (type === 'any known' && target.type === undefined)
    return `there are no requests for device id ${target.deviceId}`;
  const has = (name: string): boolean => (target.features & featureMask(target.deviceId, [name])) !== 0n;
  const missing = features.filter((name) => !has(name));
  if (missing.length > 0) return `${missing.join(' and ')} is not offered`;
  const excess = without.filter(has);
  if (excess.length > 0) return `${excess.join(' and ')} is offered`;
  const [lacking] = backend.filter(({ bit }) => ((target.backendFeatures >> bit) & 1n) === 0n);
  return lacking && `the kernel does not offer ${lacking.name} for this device`;
}

/** Whether a check is about devices of this type, and not about others. */
function isForType(target: Target, { requires: { type } = {} }: Check): boolean {
  return type === undefined || type === 'any known' || type === target.type;
}

function coveredBy(
  { deviceId }: Target,
  { requires: { features = [], without = [] } = {}, covers = [] }: Check,
): bigint {
  return featureMask(deviceId, [...features, ...without, ...covers]);
}
