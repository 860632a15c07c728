/** What `npm run bench:vduse` measures, and for how long. */
export interface Plan {
  /** How often each disk has each workload, by turns. */
  readonly rounds: number;
  /** Seconds of each turn. */
  readonly seconds: number;
  /** Only parts whose name holds this. */
  readonly only: string;
  /** Requests that the growth of memory is seen over; 0 to leave it out. */
  readonly growthRequests: number;
}

export const parts = ['disks', 'queues', 'net', 'growth'] as const;
export type Part = (typeof parts)[number];

const usage = `npm run bench:vduse -- [OPTION…]
  --rounds N     how often each disk has each workload, by turns (5)
  --seconds S    how long each time (1.5)
  --only PART    one part: ${parts.join(', ')}
  --growth       see whether a server's memory grows over ten million requests, too: some ten minutes
  --short        a round of half a second, to see that it works`;

/** Reads the command line. @throws Error with what there is to say, where it asks for help or cannot be understood */
export function readPlan(argv: readonly string[]): Plan {
  const plan = { rounds: 5, seconds: 1.5, only: '', growthRequests: 0 };
  for (let index = 0; index < argv.length; index++) {
    const value = (): string => argv[++index] ?? '';
    switch (argv[index]) {
      case '--rounds':
        plan.rounds = Number(value());
        break;
      case '--seconds':
        plan.seconds = Number(value());
        break;
      case '--only':
        plan.only = value();
        break;
      case '--growth':
        plan.growthRequests = 10_000_000;
        break;
      case '--short':
        plan.rounds = 1;
        plan.seconds = 0.5;
        break;
      default:
        throw new Error(usage);
    }
  }
  if (!(plan.rounds >= 1 && plan.seconds > 0)) throw new Error(usage);
  return plan;
}

/** Whether a part is asked for. Growth is, where it has a number of requests. */
export function includes(plan: Plan, part: Part): boolean {
  if (part === 'growth') return plan.growthRequests > 0;
  return plan.only === '' || plan.only === part;
}
