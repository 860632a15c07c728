/** Exchanges with the vdpa family and the controller that together cover each answer of the kernel. */
import { NLA_F_NESTED, NLM_F_ACK } from '../../src/netlink/constants.js';
import {
  CTRL_ATTR_FAMILY_ID,
  CTRL_ATTR_FAMILY_NAME,
  CTRL_ATTR_OP,
  CTRL_CMD_GETFAMILY,
  CTRL_CMD_GETPOLICY,
  GENL_ID_CTRL,
} from '../../src/netlink/genl-constants.js';
import * as uapi from '../../src/vdpa/uapi.js';
import { ask } from './exchange.js';
import type { Step } from './exchange.js';
import { attribute, request, text, u16, u32, u64 } from './netlink-requests.js';
import { concat } from './peer.js';
import { dump, VdpaRequests } from './vdpa-requests.js';

export interface Scenario {
  readonly name: string;
  readonly steps: readonly Step[];
  /** Socket options; both are on if absent. */
  readonly extendedAck?: boolean;
  readonly cappedAck?: boolean;
}

/** The scenarios, to be played in order on a machine without devices; each leaves none behind. */
export function scenarios(familyId: number): Scenario[] {
  return [...controllerScenarios(familyId), ...deviceScenarios(familyId), ...protocolScenarios(familyId)];
}

function controllerScenarios(familyId: number): Scenario[] {
  const controller = (command: number, attributes: readonly Uint8Array[], flags?: number): Step[] =>
    ask(request({ type: GENL_ID_CTRL, command, attributes, version: 2, ...(flags === undefined ? {} : { flags }) }));
  const vdpa = text(CTRL_ATTR_FAMILY_NAME, 'vdpa');
  return [
    { name: 'family by name', steps: controller(CTRL_CMD_GETFAMILY, [vdpa]) },
    { name: 'family by number', steps: controller(CTRL_CMD_GETFAMILY, [u16(CTRL_ATTR_FAMILY_ID, familyId)]) },
    { name: 'family by nothing', steps: controller(CTRL_CMD_GETFAMILY, []) },
    { name: 'no such family', steps: controller(CTRL_CMD_GETFAMILY, [text(CTRL_ATTR_FAMILY_NAME, 'nosuch')]) },
    {
      name: "a family's name that is too long",
      steps: controller(CTRL_CMD_GETFAMILY, [text(CTRL_ATTR_FAMILY_NAME, 'sixteen-letters!')]),
    },
    { name: 'all families', steps: controller(CTRL_CMD_GETFAMILY, [], dump) },
    { name: 'policy of a family', steps: controller(CTRL_CMD_GETPOLICY, [vdpa], dump) },
    {
      name: 'policy of an operation',
      steps: controller(CTRL_CMD_GETPOLICY, [vdpa, u32(CTRL_ATTR_OP, uapi.VDPA_CMD_DEV_NEW)], dump),
    },
    {
      name: 'policy of an unknown operation',
      steps: controller(CTRL_CMD_GETPOLICY, [vdpa, u32(CTRL_ATTR_OP, 99)], dump),
    },
    {
      name: 'policy of the controller',
      steps: controller(CTRL_CMD_GETPOLICY, [u16(CTRL_ATTR_FAMILY_ID, GENL_ID_CTRL)], dump),
    },
    { name: 'policy, requested once', steps: controller(CTRL_CMD_GETPOLICY, [vdpa]) },
    { name: 'policy of nothing', steps: controller(CTRL_CMD_GETPOLICY, [], dump) },
  ];
}

function deviceScenarios(familyId: number): Scenario[] {
  const vdpa = new VdpaRequests(familyId);
  const mac = (...bytes: number[]): Uint8Array => attribute(uapi.VDPA_ATTR_DEV_NET_CFG_MACADDR, Uint8Array.from(bytes));
  const mtu = (value: number): Uint8Array => u16(uapi.VDPA_ATTR_DEV_NET_CFG_MTU, value);
  const pairs = (value: number): Uint8Array => u16(uapi.VDPA_ATTR_DEV_NET_CFG_MAX_VQP, value);
  const features = (value: bigint): Uint8Array => u64(uapi.VDPA_ATTR_DEV_FEATURES, value);
  const get = (command: number, name: string): Step[] => ask(vdpa.about(command, name));
  const config = (name: string): Step[] => get(uapi.VDPA_CMD_DEV_CONFIG_GET, name);
  const set = (name: string, ...attributes: Uint8Array[]): Step[] =>
    ask(vdpa.about(uapi.VDPA_CMD_DEV_ATTR_SET, name, ...attributes));
  const withNet = (...steps: Step[][]): Step[] => [
    ...ask(vdpa.add('foo0', 'vdpasim_net')),
    ...steps.flat(),
    ...ask(vdpa.remove('foo0')),
  ];
  const refused = (name: string, ...attributes: Uint8Array[]): Scenario => ({
    name,
    steps: ask(vdpa.add('foo0', 'vdpasim_net', ...attributes)),
  });
  return [
    { name: 'management devices', steps: ask(vdpa.dump(uapi.VDPA_CMD_MGMTDEV_GET)) },
    {
      name: 'one management device',
      steps: ask(vdpa.request(uapi.VDPA_CMD_MGMTDEV_GET, [vdpa.management('vdpasim_blk')])),
    },
    {
      name: 'a management device that does not exist',
      steps: ask(vdpa.request(uapi.VDPA_CMD_MGMTDEV_GET, [vdpa.management('nosuch')])),
    },
    {
      name: 'a management device on a bus',
      steps: ask(
        vdpa.request(uapi.VDPA_CMD_MGMTDEV_GET, [
          text(uapi.VDPA_ATTR_MGMTDEV_BUS_NAME, 'pci'),
          vdpa.management('vdpasim_net'),
        ]),
      ),
    },
    { name: 'a management device without a name', steps: ask(vdpa.request(uapi.VDPA_CMD_MGMTDEV_GET)) },
    {
      name: 'a network device',
      steps: withNet(
        get(uapi.VDPA_CMD_DEV_GET, 'foo0'),
        config('foo0'),
        ...[0, 1, 2, 3, 0x8000, 0x8001].map((queue) => ask(vdpa.stats('foo0', queue))),
      ),
    },
    {
      name: 'a network device with a MAC address and an MTU',
      steps: [
        ...ask(vdpa.add('foo0', 'vdpasim_net', mac(0, 0x11, 0x22, 0x33, 0x44, 0x55), mtu(9000))),
        ...config('foo0'),
        ...set('foo0', mac(0, 0x11, 0x22, 0x33, 0x44, 0x66)),
        ...config('foo0'),
        ...ask(vdpa.remove('foo0')),
      ],
    },
    {
      name: 'a network device with chosen features',
      steps: [
        ...ask(vdpa.add('foo0', 'vdpasim_net', features(0x3_0082_0000n))),
        ...config('foo0'),
        ...ask(vdpa.stats('foo0', 2)),
        ...ask(vdpa.remove('foo0')),
      ],
    },
    {
      name: 'a network device whose features no driver accepts',
      steps: [
        ...ask(vdpa.add('foo0', 'vdpasim_net', features(0x20n))),
        ...config('foo0'),
        ...ask(vdpa.stats('foo0', 0)),
        ...ask(vdpa.remove('foo0')),
      ],
    },
    {
      name: 'a block device',
      steps: [
        ...ask(vdpa.add('blk0', 'vdpasim_blk')),
        ...get(uapi.VDPA_CMD_DEV_GET, 'blk0'),
        ...config('blk0'),
        ...ask(vdpa.stats('blk0', 0)),
        ...set('blk0', mac(2, 0, 0, 0, 0, 1)),
        ...ask(vdpa.remove('blk0')),
      ],
    },
    {
      name: 'a name too long for its error message',
      steps: [
        ...ask(vdpa.add('b'.repeat(90), 'vdpasim_blk')),
        ...set('b'.repeat(90)),
        ...ask(vdpa.remove('b'.repeat(90))),
      ],
    },
    {
      name: 'devices',
      steps: [
        ...ask(vdpa.dump(uapi.VDPA_CMD_DEV_GET)),
        ...ask(vdpa.add('foo1', 'vdpasim_net')),
        ...ask(vdpa.add('foo0', 'vdpasim_net')),
        ...ask(vdpa.dump(uapi.VDPA_CMD_DEV_GET)),
        ...ask(vdpa.dump(uapi.VDPA_CMD_DEV_CONFIG_GET)),
        ...ask(vdpa.remove('foo1')),
        ...ask(vdpa.dump(uapi.VDPA_CMD_DEV_GET)),
        ...ask(vdpa.remove('foo0')),
      ],
    },
    {
      name: 'a name that exists',
      steps: withNet(ask(vdpa.add('foo0', 'vdpasim_net')), ask(vdpa.add('foo0', 'vdpasim_blk'))),
    },
    {
      name: 'a slash in a name',
      steps: [
        ...ask(vdpa.add('a/b', 'vdpasim_net')),
        ...get(uapi.VDPA_CMD_DEV_GET, 'a/b'),
        ...get(uapi.VDPA_CMD_DEV_GET, 'a!b'),
        ...ask(vdpa.add('a!b', 'vdpasim_net')),
        ...ask(vdpa.remove('a!b')),
      ],
    },
    ...['', '.', 'virtual', 'vdpasim_net', 'vduse', 'y'.repeat(300)].map((name) => ({
      name: `the name "${name.slice(0, 20)}"`,
      steps: [...ask(vdpa.add(name, 'vdpasim_net')), ...get(uapi.VDPA_CMD_DEV_GET, name), ...ask(vdpa.remove(name))],
    })),
    {
      name: 'names too long for an answer',
      steps: [
        ...ask(vdpa.add('foo0', 'vdpasim_net')),
        ...ask(vdpa.add('w'.repeat(3750), 'vdpasim_net')),
        ...ask(vdpa.add('foo1', 'vdpasim_net')),
        ...get(uapi.VDPA_CMD_DEV_GET, 'w'.repeat(3750)),
        ...config('w'.repeat(3750)),
        ...ask(vdpa.stats('w'.repeat(3750), 0)),
        ...ask(vdpa.dump(uapi.VDPA_CMD_DEV_GET), 3000),
        ...ask(vdpa.remove('w'.repeat(3750))),
        ...ask(vdpa.remove('foo0')),
        ...ask(vdpa.remove('foo1')),
      ],
    },
    ...[
      uapi.VDPA_CMD_DEV_GET,
      uapi.VDPA_CMD_DEV_DEL,
      uapi.VDPA_CMD_DEV_CONFIG_GET,
      uapi.VDPA_CMD_DEV_ATTR_SET,
      uapi.VDPA_CMD_DEV_VSTATS_GET,
    ].map((command) => ({
      name: `command ${command} without a device`,
      steps: [
        ...ask(vdpa.about(command, 'nosuch', u32(uapi.VDPA_ATTR_DEV_QUEUE_INDEX, 0))),
        ...ask(vdpa.request(command)),
        ...ask(vdpa.request(command, [vdpa.name('nosuch')])),
      ],
    })),
    { name: 'setting nothing', steps: withNet(set('foo0')) },
    { name: "setting a group's MAC address", steps: withNet(set('foo0', mac(1, 0, 0, 0, 0, 1))) },
    { name: 'setting no MAC address', steps: withNet(set('foo0', mac(0, 0, 0, 0, 0, 0))) },
    { name: 'setting an MTU', steps: withNet(set('foo0', mtu(1400)), config('foo0')) },
    refused('an MTU too small', mtu(67)),
    refused('no queue pairs', pairs(0)),
    refused('queue pairs', pairs(2)),
    refused('queue pairs without the feature', pairs(2), features(0x3_0000_0000n)),
    refused('a MAC address and an MTU without their features', mac(2, 0, 0, 0, 0, 1), mtu(1500), features(0n)),
    refused('unsupported features', features(0x4_0000_0000n)),
    {
      name: 'attributes that a block device does not accept',
      steps: [
        ...ask(vdpa.add('blk0', 'vdpasim_blk', mac(2, 0, 0, 0, 0, 1))),
        ...ask(vdpa.add('blk0', 'vdpasim_blk', features(0x3_0000_0000n))),
      ],
    },
    {
      name: 'no VDUSE device',
      steps: [...ask(vdpa.add('foo0', 'vduse')), ...ask(vdpa.add('foo0', 'vduse', features(0x3_0000_0000n)))],
    },
    { name: 'a device on a missing management device', steps: ask(vdpa.add('foo0', 'nosuch')) },
    {
      name: 'a device without its management device',
      steps: ask(vdpa.request(uapi.VDPA_CMD_DEV_NEW, [vdpa.name('foo0')])),
    },
    {
      name: 'a device without a name',
      steps: ask(vdpa.request(uapi.VDPA_CMD_DEV_NEW, [vdpa.management('vdpasim_net')])),
    },
  ];
}

function protocolScenarios(familyId: number): Scenario[] {
  const vdpa = new VdpaRequests(familyId);
  const missing = vdpa.about(uapi.VDPA_CMD_DEV_GET, 'nosuch');
  const wrongLength = vdpa.about(
    uapi.VDPA_CMD_DEV_NEW,
    'foo0',
    attribute(uapi.VDPA_ATTR_DEV_NET_CFG_MTU, Uint8Array.of(1, 2, 3)),
  );
  const answers = [...ask(missing), ...ask(wrongLength)];
  return [
    { name: 'uncapped acknowledgements', steps: answers, cappedAck: false },
    { name: 'acknowledgements without attributes', steps: answers, extendedAck: false },
    { name: 'acknowledgements of older kernels', steps: answers, extendedAck: false, cappedAck: false },
    { name: 'unknown commands', steps: [0, 1, 9, 255].flatMap((command) => ask(vdpa.request(command))) },
    {
      name: 'lists of commands without a list',
      steps: [3, 4, 7, 8].flatMap((command) => ask(vdpa.request(command, [], { flags: dump | NLM_F_ACK }))),
    },
    {
      name: 'reserved fields and flags',
      steps: [uapi.VDPA_CMD_DEV_GET, uapi.VDPA_CMD_DEV_ATTR_SET].flatMap((command) => [
        ...ask(vdpa.request(command, [vdpa.name('nosuch')], { reserved: 7 })),
        ...ask(vdpa.request(command, [vdpa.name('nosuch')], { flags: 0x405 })),
        ...ask(vdpa.request(command, [vdpa.name('nosuch')], { version: 77 })),
      ]),
    },
    {
      name: 'messages that are not requests',
      steps: [
        ...ask(vdpa.request(uapi.VDPA_CMD_DEV_GET, [vdpa.name('nosuch')], { flags: NLM_F_ACK })),
        ...ask(request({ type: 2, command: 0 })),
        ...ask(request({ type: 0x7fff, command: 0 })),
        ...ask(missing.subarray(0, 12)),
        ...ask(missing.subarray(0, 18)),
        ...ask(vdpa.request(uapi.VDPA_CMD_DEV_GET, [], { length: 18 })),
        ...ask(vdpa.request(uapi.VDPA_CMD_DEV_GET, [], { length: 400 })),
      ],
    },
    {
      name: 'malformed attributes',
      steps: [
        attribute(0, new Uint8Array(4)),
        attribute(uapi.VDPA_ATTR_DEV_ID, new Uint8Array(4)),
        attribute(uapi.VDPA_ATTR_MAX, new Uint8Array(4)),
        attribute(uapi.VDPA_ATTR_MAX + 1, new Uint8Array(4)),
        attribute(uapi.VDPA_ATTR_DEV_NAME | NLA_F_NESTED, new Uint8Array(4)),
        attribute(uapi.VDPA_ATTR_DEV_NAME, new Uint8Array(0)),
        attribute(uapi.VDPA_ATTR_MGMTDEV_BUS_NAME, Uint8Array.of(0x70, 0x63, 0x69)),
        attribute(uapi.VDPA_ATTR_DEV_NET_CFG_MACADDR, new Uint8Array(5)),
        attribute(uapi.VDPA_ATTR_DEV_NET_CFG_MACADDR, new Uint8Array(7)),
        attribute(uapi.VDPA_ATTR_DEV_FEATURES, new Uint8Array(4)),
        attribute(uapi.VDPA_ATTR_DEV_FEATURES, new Uint8Array(4), 3),
        attribute(uapi.VDPA_ATTR_DEV_FEATURES, new Uint8Array(4), 300),
        Uint8Array.of(1, 2, 3),
      ].flatMap((bad) => ask(vdpa.about(uapi.VDPA_CMD_DEV_GET, 'foo0', bad))),
    },
    {
      name: 'several requests in one datagram',
      steps: ask(
        concat(
          vdpa.add('foo0', 'vdpasim_net'),
          vdpa.dump(uapi.VDPA_CMD_DEV_GET),
          vdpa.dump(uapi.VDPA_CMD_MGMTDEV_GET),
          missing,
          vdpa.remove('foo0'),
        ),
      ),
    },
    {
      name: 'a list that is not read to its end',
      steps: [
        { send: vdpa.dump(uapi.VDPA_CMD_MGMTDEV_GET) },
        { send: vdpa.dump(uapi.VDPA_CMD_DEV_GET) },
        { read: 32_768 },
        { read: 32_768 },
        { read: 32_768 },
        { read: 32_768 },
      ],
    },
  ];
}
