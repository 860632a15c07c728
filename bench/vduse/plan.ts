/** What `npm run bench:vduse` measures, and for how long. */
export interface Plan {
  /** How often each disk runs each workload, in turn. */
  readonly rounds: number;
  /** Seconds of each turn. */
  readonly seconds: number;
  /** The parts to measure; empty for all. */
  readonly parts: readonly Part[];
  /** Requests over which the growth of memory is measured. */
  readonly growthRequests: number;
}

export const parts = [
  'disks',
  'queues',
  'agreement',
  'driver',
  'net',
  'delay',
  'growth',
  'waiting',
  'flush',
  'real',
  'processors',
  'nbd',
] as const;
export type Part = (typeof parts)[number];

const usage = `npm run bench:vduse -- [OPTION…] [PART…]
  PART           ${parts.join(', ')}; all of them by default, in about fifteen minutes
  --rounds N     how often each disk runs each workload, in turn (5)
  --seconds S    how long each time (0.5)
  --short        one round, to check that it works`;

/** Parses the command line. @throws Error with a message if it asks for help or is invalid */
export function readPlan(argv: readonly string[]): Plan {
  const plan = { rounds: 5, seconds: 0.5, parts: [] as Part[], growthRequests: 10_000_000 };
  for (let index = 0; index < argv.length; index++) {
    const value = (): string => argv[++index] ?? '';
    const word = argv[index];
    switch (word) {
      case '--rounds':
        plan.rounds = Number(value());
        break;
      case '--seconds':
        plan.seconds = Number(value());
        break;
      case '--short':
        plan.rounds = 1;
        plan.growthRequests = 1_000_000;
        break;
      default: {
        const part = parts.find((known) => known === word);
        if (!part) throw new Error(usage);
        plan.parts.push(part);
      }
    }
  }
  if (!(Number.isInteger(plan.rounds) && plan.rounds >= 1 && plan.seconds > 0)) throw new Error(usage);
  return plan;
}

/** Whether a part is requested. */
export function includes(plan: Plan, part: Part): boolean {
  return plan.parts.length === 0 || plan.parts.includes(part);
}
