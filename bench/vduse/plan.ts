/** What `npm run bench:vduse` measures, and for how long. */
export interface Plan {
  /** How often each disk has each workload, by turns. */
  readonly rounds: number;
  /** Seconds of each turn. */
  readonly seconds: number;
  /** Only this part; all of them where it is empty. */
  readonly only: string;
  /** Requests that the growth of memory is seen over. */
  readonly growthRequests: number;
}

export const parts = ['disks', 'queues', 'net', 'growth'] as const;
export type Part = (typeof parts)[number];

const usage = `npm run bench:vduse -- [OPTION…]
  --rounds N     how often each disk has each workload, by turns (5)
  --seconds S    how long each time (1)
  --only PART    one part: ${parts.join(', ')}
  --short        a round of half a second, to see that it works`;

/** Reads the command line. @throws Error with what there is to say, where it asks for help or cannot be understood */
export function readPlan(argv: readonly string[]): Plan {
  const plan = { rounds: 5, seconds: 1, only: '', growthRequests: 10_000_000 };
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
      case '--short':
        plan.rounds = 1;
        plan.seconds = 0.5;
        plan.growthRequests = 1_000_000;
        break;
      default:
        throw new Error(usage);
    }
  }
  const known = plan.only === '' || parts.some((part) => part === plan.only);
  if (!(known && Number.isInteger(plan.rounds) && plan.rounds >= 1 && plan.seconds > 0)) throw new Error(usage);
  return plan;
}

/** Whether a part is asked for. */
export function includes(plan: Plan, part: Part): boolean {
  return plan.only === '' || plan.only === part;
}
