/** Generates requests to the vdpa family and the controller that reach every check of the kernel: most are almost valid. */
import {
  NLA_F_NESTED,
  NLA_F_NET_BYTEORDER,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_ECHO,
  NLM_F_EXCL,
  NLM_F_MATCH,
  NLM_F_REQUEST,
  NLM_F_ROOT,
} from '../../src/netlink/constants.js';
import {
  CTRL_ATTR_FAMILY_ID,
  CTRL_ATTR_FAMILY_NAME,
  CTRL_ATTR_OP,
  CTRL_CMD_GETFAMILY,
  CTRL_CMD_GETPOLICY,
  GENL_ID_CTRL,
} from '../../src/netlink/genl-constants.js';
import { encodeText } from '../../src/netlink/text-encoding.js';
import * as uapi from '../../src/vdpa/uapi.js';
import { attribute, numberBytes, request, text, u64 } from './netlink-requests.js';
import { concat } from './peer.js';
import type { Random } from './random.js';

/** The feature bits that vdpasim_net has. */
const netFeatureBits = [3, 5, 16, 17, 23, 27, 32, 33] as const;
const netFeatures = 0x3_0883_0028n;

/** Few, so that requests concern the devices of earlier ones. */
const deviceNames = ['foo0', 'foo0', 'foo0', 'foo1', 'a/b', 'a!b', 'näme'] as const;
const oddNames = ['', '.', 'virtual', 'vdpasim_net', 'foo0 ', 'FOO0', 'y'.repeat(300), 'tab\tname'] as const;
const managementNames = ['vdpasim_net', 'vduse', 'vdpasim', 'pci', ''] as const;

export class RequestGenerator {
  readonly #random: Random;
  readonly #familyId: number;

  constructor(random: Random, familyId: number) {
    this.#random = random;
    this.#familyId = familyId;
  }

  /** A datagram: mostly one request, sometimes several, sometimes damaged. */
  datagram(): Uint8Array {
    const count = this.#random.chance(10) ? 2 + this.#random.below(3) : 1;
    const requests = Array.from({ length: count }, () => this.#request());
    // The kernel reads names up to a NUL, even after the end of the datagram: provide one.
    const bytes = concat(...requests, new Uint8Array(4));
    if (this.#random.chance(4)) return this.#damage(bytes);
    return bytes;
  }

  /** Flips some bytes, but not in message types: only the simulated families must get requests. */
  #damage(bytes: Uint8Array): Uint8Array {
    const damaged = Uint8Array.from(bytes);
    for (let count = 1 + this.#random.below(3); count > 0; count--) {
      const at = this.#random.below(damaged.length - 4);
      if (at < 4 || at > 5) damaged[at] = this.#random.below(256);
    }
    if (this.#random.chance(30)) return damaged.slice(0, 1 + this.#random.below(damaged.length - 1));
    return damaged;
  }

  #request(): Uint8Array {
    const kind = this.#random.below(100);
    if (kind < 12) return this.#controllerRequest();
    if (kind < 14) return this.#strayRequest();
    return this.#vdpaRequest();
  }

  /** A control message, or one for a family that does not exist. */
  #strayRequest(): Uint8Array {
    const type = this.#random.pick([0, 1, 2, 3, 4, 0xf, 0x11, 0x12, 0x7fff, 0xffff]);
    return request({ type, command: this.#random.below(12), flags: this.#flags(), seq: this.#seq() });
  }

  #vdpaRequest(): Uint8Array {
    const command = this.#random.chance(3)
      ? this.#random.pick([0, 1, 9, 10, 200, 255])
      : this.#random.pick([
          uapi.VDPA_CMD_MGMTDEV_GET,
          uapi.VDPA_CMD_DEV_NEW,
          uapi.VDPA_CMD_DEV_NEW,
          uapi.VDPA_CMD_DEV_NEW,
          uapi.VDPA_CMD_DEV_DEL,
          uapi.VDPA_CMD_DEV_GET,
          uapi.VDPA_CMD_DEV_CONFIG_GET,
          uapi.VDPA_CMD_DEV_CONFIG_GET,
          uapi.VDPA_CMD_DEV_VSTATS_GET,
          uapi.VDPA_CMD_DEV_VSTATS_GET,
          uapi.VDPA_CMD_DEV_ATTR_SET,
        ]);
    const attributes = this.#vdpaAttributes(command);
    if (this.#random.chance(3)) attributes.push(this.#unknownAttribute(uapi.VDPA_ATTR_MAX));
    if (this.#random.chance(2)) attributes.push(this.#random.bytes(1 + this.#random.below(8)));
    if (this.#random.chance(10)) attributes.reverse();
    return request({
      type: this.#familyId,
      command,
      flags: this.#flags(),
      seq: this.#seq(),
      ...this.#header(),
      attributes,
    });
  }

  /** The attributes of the command, each of which may be absent, invalid, or repeated. */
  #vdpaAttributes(command: number): Uint8Array[] {
    const attributes: Uint8Array[] = [];
    const add = (percent: number, make: () => Uint8Array): void => {
      if (this.#random.chance(percent)) attributes.push(make());
      if (this.#random.chance(2)) attributes.push(make());
    };
    const isAdd = command === uapi.VDPA_CMD_DEV_NEW;
    add(92, () => this.#name(uapi.VDPA_ATTR_DEV_NAME, deviceNames, oddNames));
    const withManagement = isAdd ? 95 : command === uapi.VDPA_CMD_MGMTDEV_GET ? 85 : 3;
    add(withManagement, () => this.#managementName(isAdd));
    add(4, () => this.#name(uapi.VDPA_ATTR_MGMTDEV_BUS_NAME, ['pci', 'vdpa'], ['', 'auxiliary']));
    add(isAdd ? 15 : 4, () => this.#number(2, uapi.VDPA_ATTR_DEV_NET_CFG_MTU, [0, 67, 68, 1500, 9000, 65535]));
    add(isAdd ? 5 : 2, () => this.#number(2, uapi.VDPA_ATTR_DEV_NET_CFG_MAX_VQP, [0, 1, 2, 65535]));
    add(isAdd || command === uapi.VDPA_CMD_DEV_ATTR_SET ? 30 : 3, () => this.#mac());
    add(isAdd ? 20 : 3, () => this.#features());
    const wantsQueue = command === uapi.VDPA_CMD_DEV_VSTATS_GET ? 92 : 3;
    add(wantsQueue, () =>
      this.#number(4, uapi.VDPA_ATTR_DEV_QUEUE_INDEX, [0, 1, 2, 3, 100, 0x8000, 0x8001, 0xffff_ffff]),
    );
    return attributes;
  }

  #managementName(forAdd: boolean): Uint8Array {
    // A simulated block device uses 128 MiB: add only a few.
    if (this.#random.chance(forAdd ? 3 : 20)) return text(uapi.VDPA_ATTR_MGMTDEV_DEV_NAME, 'vdpasim_blk');
    if (this.#random.chance(85)) return text(uapi.VDPA_ATTR_MGMTDEV_DEV_NAME, 'vdpasim_net');
    return this.#name(uapi.VDPA_ATTR_MGMTDEV_DEV_NAME, managementNames, oddNames);
  }

  /** A name: with or without NUL, longer than its text, empty, with flags. */
  #name(type: number, usual: readonly [string, ...string[]], odd: readonly [string, ...string[]]): Uint8Array {
    const name = this.#random.chance(90) ? this.#random.pick(usual) : this.#random.pick(odd);
    const bytes = encodeText(name);
    switch (this.#random.below(20)) {
      case 0:
        return attribute(type, bytes);
      case 1:
        return attribute(type, concat(bytes, new Uint8Array(1 + this.#random.below(9))));
      case 2:
        return attribute(type, concat(bytes, Uint8Array.of(0), this.#random.bytes(this.#random.below(9))));
      case 3:
        return attribute(type, new Uint8Array(0));
      case 4:
        return attribute(this.#flagged(type), concat(bytes, Uint8Array.of(0)));
      default:
        return text(type, name);
    }
  }

  /** A number: too short, too long, with flags, or of the correct width. */
  #number(width: number, type: number, values: readonly [number, ...number[]]): Uint8Array {
    const value = this.#random.pick(values);
    if (this.#random.chance(5)) return attribute(type, this.#random.bytes(this.#random.below(width)));
    if (this.#random.chance(5)) return attribute(type, this.#random.bytes(width + 1 + this.#random.below(6)));
    return attribute(this.#random.chance(4) ? this.#flagged(type) : type, numberBytes(width, BigInt(value)));
  }

  #mac(): Uint8Array {
    const type = uapi.VDPA_ATTR_DEV_NET_CFG_MACADDR;
    switch (this.#random.below(12)) {
      case 0:
        return attribute(type, new Uint8Array(6));
      case 1:
        return attribute(type, Uint8Array.of(255, 255, 255, 255, 255, 255));
      case 2:
        return attribute(type, Uint8Array.of(1, 0, 0x5e, 0, 0, 1));
      case 3:
        return attribute(type, this.#random.bytes(this.#random.below(14)));
      default:
        return attribute(type, concat(Uint8Array.of(2), this.#random.bytes(5)));
    }
  }

  #features(): Uint8Array {
    const type = uapi.VDPA_ATTR_DEV_FEATURES;
    if (this.#random.chance(8)) return attribute(type, this.#random.bytes(this.#random.below(14)));
    if (this.#random.chance(8)) return attribute(type, this.#random.bytes(8));
    let features = this.#random.chance(50) ? netFeatures : 0n;
    for (const bit of netFeatureBits) if (this.#random.chance(40)) features ^= 1n << BigInt(bit);
    if (this.#random.chance(5)) features |= 1n << BigInt(this.#random.below(64));
    return u64(type, features);
  }

  #unknownAttribute(maxType: number): Uint8Array {
    const type = this.#random.chance(50)
      ? this.#random.below(maxType + 1)
      : this.#random.pick([0, maxType, maxType + 1, maxType + 2, 255, 0x3fff]);
    return attribute(this.#random.chance(20) ? this.#flagged(type) : type, this.#random.bytes(this.#random.below(12)));
  }

  #controllerRequest(): Uint8Array {
    const asksPolicy = this.#random.chance(50);
    const attributes: Uint8Array[] = [];
    if (this.#random.chance(60)) attributes.push(this.#name(CTRL_ATTR_FAMILY_NAME, ['vdpa', 'nlctrl'], oddFamilies));
    if (this.#random.chance(40)) {
      const id = this.#random.pick([this.#familyId, GENL_ID_CTRL, 0x11, 0xffff]);
      attributes.push(this.#number(2, CTRL_ATTR_FAMILY_ID, [id]));
    }
    if (asksPolicy && this.#random.chance(40)) {
      attributes.push(this.#number(4, CTRL_ATTR_OP, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255, 258]));
    }
    if (this.#random.chance(6)) attributes.push(this.#unknownAttribute(CTRL_ATTR_OP));
    if (this.#random.chance(3)) attributes.push(this.#random.bytes(1 + this.#random.below(8)));
    const command = asksPolicy ? CTRL_CMD_GETPOLICY : CTRL_CMD_GETFAMILY;
    // The list of all families is compared elsewhere: a real kernel has more of them.
    const flags = asksPolicy && this.#random.chance(80) ? this.#flags() | NLM_F_DUMP : this.#flags() & ~NLM_F_ROOT;
    return request({
      type: GENL_ID_CTRL,
      command: this.#random.chance(95) ? command : this.#random.below(14),
      flags: asksPolicy ? flags : flags & ~NLM_F_ROOT,
      seq: this.#seq(),
      ...this.#header(),
      attributes,
    });
  }

  #flags(): number {
    const flags = this.#random.chance(97) ? NLM_F_REQUEST : 0;
    const ack = this.#random.chance(70) ? NLM_F_ACK : 0;
    const dump = this.#random.chance(20) ? NLM_F_DUMP : 0;
    const odd = [NLM_F_ROOT, NLM_F_MATCH, NLM_F_ECHO, NLM_F_CREATE, NLM_F_EXCL, 2, 0x10, 0x20, 0x8000] as const;
    return flags | ack | dump | (this.#random.chance(8) ? this.#random.pick(odd) : 0);
  }

  #header(): { version: number; reserved: number; port: number; length?: number } {
    return {
      version: this.#random.chance(90) ? 1 : this.#random.below(256),
      reserved: this.#random.chance(97) ? 0 : this.#random.below(65_536),
      port: this.#random.chance(90) ? 0 : this.#random.below(65_536),
      ...(this.#random.chance(1) ? { length: this.#random.below(64) } : {}),
    };
  }

  #seq(): number {
    return this.#random.below(0x1_0000_0000);
  }

  #flagged(type: number): number {
    return type | this.#random.pick([NLA_F_NESTED, NLA_F_NET_BYTEORDER, NLA_F_NESTED | NLA_F_NET_BYTEORDER]);
  }
}

const oddFamilies = ['', 'vdp', 'vdpaa', 'v'.repeat(15), 'v'.repeat(16), 'VDPA'] as const;

/** Requests that delete a device, whatever it is. */
export function deletion(familyId: number, name: string): Uint8Array {
  return request({ type: familyId, command: uapi.VDPA_CMD_DEV_DEL, attributes: [text(uapi.VDPA_ATTR_DEV_NAME, name)] });
}
