/** Runs inside the lab: measures what the plan says and writes it to the lab's results, as JSON. */
import { writeFileSync } from 'node:fs';
import { measureAgreement } from './agreement.js';
import { measureBesideFlush } from './beside-flush.js';
import { measureDelay } from './delay.js';
import { measureDisks } from './disks.js';
import { measureGrowth } from './growth.js';
import { measureKernelNbd } from './kernel-nbd.js';
import { measureNet } from './net.js';
import { includes, type Plan } from './plan.js';
import { measureQueues } from './queues.js';
import type { Results } from './results.js';
import { measureWaiting } from './waiting.js';

const plan = JSON.parse(process.argv[2] ?? '{}') as Plan;
const results: Results = {
  ...(includes(plan, 'disks') && { disks: await measureDisks(plan) }),
  ...(includes(plan, 'queues') && { queues: await measureQueues(plan) }),
  ...(includes(plan, 'agreement') && { agreement: await measureAgreement(plan) }),
  ...(includes(plan, 'net') && { net: await measureNet(plan) }),
  ...(includes(plan, 'delay') && { delay: await measureDelay(plan) }),
  ...(includes(plan, 'growth') && { growth: await measureGrowth(plan) }),
  ...(includes(plan, 'waiting') && { waiting: await measureWaiting(plan) }),
  ...(includes(plan, 'flush') && { flush: await measureBesideFlush(plan) }),
  ...(includes(plan, 'nbd') && { nbd: await measureKernelNbd(plan) }),
};
writeFileSync('/run/lab/results', JSON.stringify(results));
