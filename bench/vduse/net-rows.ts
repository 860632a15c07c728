/** The tables of network devices, and of growth. */
import { median } from '../measure.js';
import { mebibytes, milliseconds, type Row } from '../report.js';
import { frameLengths } from './net.js';
import type { DelayResults, Delays, GrowthResults, NetResults } from './results.js';

/** Packets that a server in user space returns, relative to the kernel's own. */
const loopbackGoal = 1;
/** The same through a tap, where the rest of the path is the kernel's network stack. */
const tapGoal = 0.5;
/** Bytes over TCP, relative to the bytes of the kernel's own packets. */
const tcpGoal = 1;
/** The same, relative to two directly connected interfaces: there data is copied twice, here four times. */
const vethGoal = 0.5;

/** The maximum delay of packets to a guest that sends as fast as it can, in milliseconds. */
const maxDelayMs = 8;

const maxGrowthKiB = 1024;

export function netRows({ loopback, tap, tcp }: NetResults): Row[] {
  const rows: Row[] = [];
  const rate = (values: readonly number[] | undefined): number => median(values ?? []);
  const packets = (value: number): string => `${Math.round(value).toLocaleString('en')} packets/s`;
  for (const [index, length] of frameLengths.entries()) {
    const theirs = rate(loopback.vdpasim[index]);
    for (const [what, ours, atLeast] of [
      ['loopback', rate(loopback.vdpa[index]), loopbackGoal],
      ['to a tap', rate(tap[index]), tapGoal],
    ] as const) {
      rows.push({
        what: `${what}, frames of ${length} bytes`,
        ours: packets(ours),
        against: `vdpasim_net ${packets(theirs)}`,
        figure: ours / theirs,
        goal: { atLeast },
      });
    }
  }
  const bytes = rate(loopback.vdpasim.at(-1)) * (frameLengths.at(-1) ?? 0);
  const perSecond = (value: number): string => `${Math.round(value / 1e6).toLocaleString('en')} MB/s`;
  for (const [what, values] of [
    ['TCP to a tap', tcp.toTap],
    ['TCP from a tap', tcp.fromTap],
  ] as const) {
    for (const [other, theirs, atLeast] of [
      ['vdpasim_net, longest frames', bytes, tcpGoal],
      ['a veth pair', rate(tcp.veth), vethGoal],
    ] as const) {
      rows.push({
        what,
        ours: perSecond(rate(values)),
        against: `${other} ${perSecond(theirs)}`,
        figure: rate(values) / theirs,
        goal: { atLeast },
      });
    }
  }
  return rows;
}

export function delayRows({ idle, flood }: DelayResults): Row[] {
  const of = (rounds: readonly Delays[]): number => median(rounds.flatMap(({ delays }) => delays));
  const lost = (rounds: readonly Delays[]): number => rounds.reduce((sum, round) => sum + round.lost, 0);
  return frameLengths.map((length, index) => {
    const rounds = flood[index] ?? [];
    return {
      what: `delay of a packet to the guest, which sends frames of ${length} bytes`,
      ours: `${milliseconds(of(rounds))}, ${lost(rounds)} lost`,
      against: `a guest that sends nothing ${milliseconds(of(idle))}, ${lost(idle)} lost`,
      figure: of(rounds),
      goal: { atMost: maxDelayMs },
      unit: 'ms',
    };
  });
}

export function growthRows({ requests, before, after }: GrowthResults): Row[] {
  return [
    {
      what: `growth of memory over ${requests.toLocaleString('en')} requests`,
      ours: mebibytes(after.own),
      against: `before ${mebibytes(before.own)}; all of it ${mebibytes(before.total)}, then ${mebibytes(after.total)}`,
      figure: after.own - before.own,
      goal: { atMost: maxGrowthKiB },
      unit: 'KiB',
    },
  ];
}
