import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import * as uapi from '../../src/vdpa/uapi.js';
import { summarize } from '../support/answers.js';
import { ask } from '../support/exchange.js';
import type { Step } from '../support/exchange.js';
import { SIMULATORS, testsWith, VDUSE } from '../support/kernel/lab/needs.js';
import { Twins } from '../support/kernel/lab/twins.js';
import type { Pair } from '../support/kernel/lab/twins.js';
import { attribute, text, u16, u32, u64 } from '../support/netlink-requests.js';
import { concat } from '../support/peer.js';
import { Random } from '../support/random.js';
import { RequestGenerator } from '../support/request-generator.js';
import { scenarios } from '../support/scenarios.js';
import { VdpaRequests } from '../support/vdpa-requests.js';

const { after, before, describe, test } = testsWith(VDUSE, ...SIMULATORS);

/** The number of generated sequences of requests. The seed of each is its number. */
const generatedSequences = 5000;
/** The sizes of buffers that datagrams are read with. */
const readerSizes = [32_768, 32_768, 8192, 4096, 65_536] as const;

const commands = [
  uapi.VDPA_CMD_MGMTDEV_NEW,
  uapi.VDPA_CMD_MGMTDEV_GET,
  uapi.VDPA_CMD_DEV_NEW,
  uapi.VDPA_CMD_DEV_DEL,
  uapi.VDPA_CMD_DEV_GET,
  uapi.VDPA_CMD_DEV_CONFIG_GET,
  uapi.VDPA_CMD_DEV_VSTATS_GET,
  uapi.VDPA_CMD_DEV_ATTR_SET,
  uapi.VDPA_CMD_DEV_ATTR_SET + 1,
];

describe('the simulated kernel answers like this one, byte for byte', () => {
  let twins: Twins;
  let vdpa: VdpaRequests;

  before(async () => {
    twins = await Twins.start();
    vdpa = new VdpaRequests(twins.familyId);
  });

  after(() => {
    assert.deepEqual(twins.devices, []);
  });

  const withPair = (options: Parameters<Twins['open']>[0], work: (pair: Pair) => void): void => {
    const pair = twins.open(options);
    try {
      work(pair);
    } finally {
      pair.close();
      twins.clean();
    }
  };

  /** A test that reports how much it compared. */
  const compare = (name: string, work: (context: TestContext) => void): void => {
    test(name, (context) => {
      const { sent, answered } = twins;
      work(context);
      context.diagnostic(`${twins.sent - sent} datagrams to each, ${twins.answered - answered} answers compared`);
    });
  };

  compare('scenarios, with which the simulation is also tested on its own', () => {
    const recorded = JSON.parse(readFileSync('test/sim/exchanges.json', 'utf8')) as Record<string, string[]>;
    for (const { name, steps, ...options } of scenarios(twins.familyId)) {
      withPair(options, (pair) => {
        const answers = pair.exchange(steps, name);
        if (twins.familyId === 0x13) assert.deepEqual(answers, recorded[name], `the recorded answers to: ${name}`);
      });
    }
  });

  compare('every command with every attribute: valid, absent, of every length, out of range, with flags, twice', () => {
    const variants = attributeVariants();
    for (const options of [{}, { extendedAck: false }, { cappedAck: false }]) {
      withPair(options, (pair) => {
        pair.exchange(ask(vdpa.add('foo0', 'vdpasim_net')), 'a device to ask about');
        for (const command of commands) {
          const base = baseAttributes(command);
          for (const [type, payloads] of variants) {
            const others = base.filter((known) => known.type !== type).map((known) => known.bytes);
            pair.exchange(ask(vdpa.request(command, others)), `command ${command} without attribute ${type}`);
            for (const payload of payloads) {
              const odd = concat(payload, new Uint8Array(4));
              pair.exchange(ask(vdpa.request(command, [...others, odd])), `command ${command}, attribute ${type}`);
              pair.exchange(
                ask(vdpa.request(command, [odd, ...others])),
                `command ${command}, attribute ${type} first`,
              );
              if (command === uapi.VDPA_CMD_DEV_NEW) removeNew(pair);
            }
          }
        }
      });
    }
  });

  /** Deletes the device that `dev add` created if the request turned out to be valid. */
  function removeNew(pair: Pair): void {
    for (const name of twins.devices) if (name !== 'foo0') pair.exchange(ask(vdpa.remove(name)), `delete ${name}`);
  }

  compare('every flag with every command', () => {
    withPair({}, (pair) => {
      pair.exchange(ask(vdpa.add('foo0', 'vdpasim_net')), 'a device to ask about');
      for (const command of commands) {
        for (let flag = 0; flag < 16; flag++) {
          for (const flags of [1 << flag, 1 | (1 << flag), 0x305 | (1 << flag), 5 ^ (1 << flag)]) {
            const asked = vdpa.request(command, [vdpa.name('foo0')], { flags });
            pair.exchange(ask(asked), `command ${command} with flags ${flags}`);
            if (twins.devices.length === 0) pair.exchange(ask(vdpa.add('foo0', 'vdpasim_net')), 'the device again');
          }
        }
      }
    });
  });

  compare('network devices with every possible set of features', () => {
    const bits = [3n, 5n, 16n, 17n, 23n, 27n, 32n, 33n];
    withPair({}, (pair) => {
      for (let chosen = 0; chosen < 2 ** bits.length; chosen++) {
        const features = bits.reduce((word, bit, at) => ((chosen >> at) & 1 ? word | (1n << bit) : word), 0n);
        const steps = [
          ...ask(vdpa.add('foo0', 'vdpasim_net', u64(uapi.VDPA_ATTR_DEV_FEATURES, features))),
          ...ask(vdpa.about(uapi.VDPA_CMD_DEV_GET, 'foo0')),
          ...ask(vdpa.about(uapi.VDPA_CMD_DEV_CONFIG_GET, 'foo0')),
          ...[0, 1, 2].flatMap((queue) => ask(vdpa.stats('foo0', queue))),
          ...ask(vdpa.remove('foo0')),
        ];
        pair.exchange(steps, `features ${features.toString(16)}`);
      }
    });
  });

  compare('lists of 0 to 200 devices, for readers with buffers of several sizes', () => {
    const lists = [uapi.VDPA_CMD_DEV_GET, uapi.VDPA_CMD_DEV_CONFIG_GET, uapi.VDPA_CMD_MGMTDEV_GET];
    withPair({}, (pair) => {
      for (let count = 0; count <= 200; count++) {
        for (const command of lists) {
          // A new socket that has not read anything gets smaller datagrams.
          withFresh((fresh) => fresh.exchange(ask(vdpa.dump(command)), `list ${command} of ${count}`));
          for (const size of count % 20 === 0 ? readerSizes : [32_768]) {
            pair.exchange(ask(vdpa.dump(command), size), `list ${command} of ${count} for a buffer of ${size}`);
          }
        }
        const name = `d${count}`.padEnd(1 + (count % 90), 'x');
        pair.exchange(ask(vdpa.add(name, 'vdpasim_net')), `add device ${count}`);
      }
    });
  });

  function withFresh(work: (pair: Pair) => void): void {
    const fresh = twins.open();
    work(fresh);
    fresh.close();
  }

  compare('devices that come and go while they are listed', () => {
    withPair({}, (pair) => {
      for (let count = 0; count < 120; count++) pair.exchange(ask(vdpa.add(`d${count}`, 'vdpasim_net')), 'add');
      for (const gone of [0, 10, 60, 119]) {
        const other = twins.open();
        const fresh = twins.open();
        fresh.exchange([{ send: vdpa.dump(uapi.VDPA_CMD_DEV_GET) }, { read: 4096 }], 'begin to list');
        other.exchange(ask(vdpa.remove(`d${gone}`)), 'delete while listing');
        fresh.exchange([{ read: 4096 }, { send: vdpa.dump(uapi.VDPA_CMD_DEV_GET) }, { drain: 4096 }], 'go on');
        other.exchange(ask(vdpa.add(`d${gone}`, 'vdpasim_net')), 'add again');
        other.close();
        fresh.close();
      }
    });
  });

  compare('users without the privilege to change anything', () => {
    withPair({}, (pair) => {
      pair.exchange(ask(vdpa.add('foo0', 'vdpasim_net')), 'a device to ask about');
    });
    asNobody(() => {
      withoutCleaning((pair) => {
        for (const command of commands) {
          for (const attributes of [[], [vdpa.name('foo0')], [vdpa.name('foo0'), vdpa.management('vdpasim_net')]]) {
            for (const flags of [1, 5, 0x301, 0x305]) {
              pair.exchange(ask(vdpa.request(command, attributes, { flags })), `command ${command} of nobody`);
            }
          }
        }
      });
    });
  });

  function withoutCleaning(work: (pair: Pair) => void): void {
    const pair = twins.open({ privileged: false });
    work(pair);
    pair.close();
  }

  compare(`${generatedSequences} generated sequences`, (context) => {
    const tally = new Map<string, number>();
    for (let seed = 0; seed < generatedSequences; seed++) {
      const random = new Random(seed);
      const generator = new RequestGenerator(random, twins.familyId);
      withPair({ extendedAck: random.chance(85), cappedAck: random.chance(60) }, (pair) => {
        for (let left = 4 + random.below(20); left > 0; left--) {
          const steps: Step[] = [{ send: generator.datagram() }];
          const size = random.pick(readerSizes);
          if (random.chance(95)) steps.push(random.chance(95) ? { drain: size } : { read: size });
          for (const answer of pair.exchange(steps, `sequence ${seed}`)) count(tally, answer);
        }
      });
    }
    for (const [answer, times] of [...tally].sort()) context.diagnostic(`${String(times).padStart(7)} × ${answer}`);
    assert.deepEqual(
      expectedAnswers.filter((answer) => !tally.has(answer)),
      [],
      'answers that no sequence produced',
    );
  });
});

/** Each kind of answer that the generated sequences must produce, so that they test enough. */
const expectedAnswers = [
  ...['acknowledged', 'done', 'answer 1', 'answer 3', 'answer 6', 'answer 7', 'answer 10'],
  ...['ENOENT', 'EINVAL', 'EEXIST', 'EOPNOTSUPP', 'EBUSY', 'ERANGE'],
  'acknowledged: vdpa: foo0 device not supported',
  'EAGAIN: vdpa: feature negotiation not complete',
  'EINVAL: Attribute failed policy validation',
  'EINVAL: NLA_F_NESTED not expected',
  'EINVAL: Unknown attribute type',
  'EINVAL: Unsupported attribute',
  'EINVAL: ambiguous or reserved bits set in nlmsg_flags',
  'EINVAL: bytes leftover after parsing attributes',
  'EINVAL: genlmsghdr.reserved field is not 0',
  'EINVAL: invalid attribute length',
  'EINVAL: vdpa: At least one pair of VQs is required',
  'EINVAL: vdpa: Fail to find the specified management device',
  'EINVAL: vdpa: Fail to find the specified mgmt device',
  'EINVAL: vdpa: Missing features 0x20 for provided attributes',
  'ENODEV: vdpa: Fail to find the specified management device',
  'ENODEV: vdpa: Fail to find the specified mgmt device',
  'ENODEV: vdpa: device not found',
  'EOPNOTSUPP: vdpa: Invalid MAC address',
  'EOPNOTSUPP: vdpa: Some provided attributes are not supported: 0x1000',
  'ERANGE: Attribute failed policy validation',
  'ERANGE: binary attribute size out of range',
  'ERANGE: integer out of range',
  'ERANGE: vdpa: queue index exceeds max value',
];

function count(tally: Map<string, number>, datagram: string): void {
  if (datagram === 'nothing') return;
  for (const answer of summarize(datagram)) tally.set(answer, (tally.get(answer) ?? 0) + 1);
}

/** What a command needs to succeed. */
function baseAttributes(command: number): { readonly type: number; readonly bytes: Uint8Array }[] {
  const name = command === uapi.VDPA_CMD_DEV_NEW ? 'new0' : 'foo0';
  const base = [{ type: uapi.VDPA_ATTR_DEV_NAME, bytes: text(uapi.VDPA_ATTR_DEV_NAME, name) }];
  if (command === uapi.VDPA_CMD_DEV_NEW || command === uapi.VDPA_CMD_MGMTDEV_GET) {
    const type = uapi.VDPA_ATTR_MGMTDEV_DEV_NAME;
    base.push({ type, bytes: text(type, 'vdpasim_net') });
  }
  if (command === uapi.VDPA_CMD_DEV_VSTATS_GET) {
    base.push({ type: uapi.VDPA_ATTR_DEV_QUEUE_INDEX, bytes: u32(uapi.VDPA_ATTR_DEV_QUEUE_INDEX, 0) });
  }
  return base;
}

/** For every attribute, including unknown ones: every length up to 12 bytes, boundary values, flags. */
function attributeVariants(): Map<number, Uint8Array[]> {
  const variants = new Map<number, Uint8Array[]>();
  for (let type = 0; type <= uapi.VDPA_ATTR_MAX + 2; type++) {
    const lengths = Array.from({ length: 13 }, (_none, length) => length);
    variants.set(type, [
      ...lengths.map((length) => attribute(type, new Uint8Array(length).fill(0x41))),
      ...[4, 8].map((length) => attribute(type, new Uint8Array(length))),
      attribute(type | 0x8000, new Uint8Array(4)),
      attribute(type | 0x4000, Uint8Array.of(0x41, 0)),
      concat(attribute(type, Uint8Array.of(0x41, 0)), attribute(type, Uint8Array.of(0x42, 0))),
    ]);
  }
  const edges: Record<number, readonly number[]> = {
    [uapi.VDPA_ATTR_DEV_NET_CFG_MTU]: [0, 67, 68, 65_535],
    [uapi.VDPA_ATTR_DEV_NET_CFG_MAX_VQP]: [0, 1, 2, 65_535],
  };
  for (const [type, values] of Object.entries(edges)) {
    variants.get(Number(type))?.push(...values.map((value) => u16(Number(type), value)));
  }
  const indexes = [0, 1, 2, 3, 0x7fff, 0x8000, 0x8001, 0xffff_ffff];
  const queue = uapi.VDPA_ATTR_DEV_QUEUE_INDEX;
  variants.get(queue)?.push(...indexes.map((value) => u32(queue, value)));
  return variants;
}

/** Runs `work` without CAP_NET_ADMIN, as an unprivileged user. */
function asNobody(work: () => void): void {
  const [seteuid, geteuid] = [process.seteuid, process.geteuid];
  assert.ok(seteuid && geteuid);
  const user = geteuid();
  seteuid(65_534);
  try {
    work();
  } finally {
    seteuid(user);
  }
}
