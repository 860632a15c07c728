import { NLM_F_DUMP, NLM_F_REQUEST } from '../../src/netlink/constants.js';
import * as uapi from '../../src/vdpa/uapi.js';
import { request, text, u32, type RequestParts } from './netlink-requests.js';

/** The flags of a request for a list. */
export const dump = NLM_F_REQUEST | NLM_F_DUMP;

/** Writes requests to the vdpa family. */
export class VdpaRequests {
  readonly #familyId: number;

  constructor(familyId: number) {
    this.#familyId = familyId;
  }

  request(command: number, attributes: readonly Uint8Array[] = [], parts: Partial<RequestParts> = {}): Uint8Array {
    return request({ type: this.#familyId, command, attributes, ...parts });
  }

  dump(command: number): Uint8Array {
    return this.request(command, [], { flags: dump });
  }

  add(name: string, management: string, ...attributes: Uint8Array[]): Uint8Array {
    return this.request(uapi.VDPA_CMD_DEV_NEW, [this.name(name), this.management(management), ...attributes]);
  }

  remove(name: string): Uint8Array {
    return this.request(uapi.VDPA_CMD_DEV_DEL, [this.name(name)]);
  }

  /** A request about a device, for any command that takes one. */
  about(command: number, name: string, ...attributes: Uint8Array[]): Uint8Array {
    return this.request(command, [this.name(name), ...attributes]);
  }

  stats(name: string, queue: number): Uint8Array {
    return this.about(uapi.VDPA_CMD_DEV_VSTATS_GET, name, u32(uapi.VDPA_ATTR_DEV_QUEUE_INDEX, queue));
  }

  name(name: string): Uint8Array {
    return text(uapi.VDPA_ATTR_DEV_NAME, name);
  }

  management(name: string): Uint8Array {
    return text(uapi.VDPA_ATTR_MGMTDEV_DEV_NAME, name);
  }
}
