/** A fake kernel that has many devices and lists them as fast as they are read: what remains is the decoder and the renderer. */
import { AttributeWriter } from '../src/netlink/attribute.js';
import { align, littleEndian, viewOf } from '../src/netlink/bytes.js';
import { NLMSG_DONE, NLM_F_MULTI } from '../src/netlink/constants.js';
import {
  CTRL_ATTR_FAMILY_ID,
  CTRL_ATTR_FAMILY_NAME,
  CTRL_CMD_NEWFAMILY,
  GENL_ID_CTRL,
} from '../src/netlink/genl-constants.js';
import { decodeMessages, encodeMessage, type NetlinkMessage } from '../src/netlink/message.js';
import type { NetlinkTransport } from '../src/netlink/transport.js';
import * as uapi from '../src/vdpa/uapi.js';
import { VIRTIO_ID_NET } from '../src/virtio/ids.js';
import { acknowledgement, answer, concat, int32 } from '../test/support/peer.js';

const familyId = 0x1c;
/** As many as the kernel packs into a datagram of 32 KiB. */
const devicesPerDatagram = 250;

/** The datagrams that list this many devices, except for sequence number and port. */
export function listOf(count: number): Uint8Array[] {
  const datagrams: Uint8Array[] = [];
  for (let first = 0; first < count; first += devicesPerDatagram) {
    const length = Math.min(devicesPerDatagram, count - first);
    datagrams.push(concat(...Array.from({ length }, (_, index) => deviceMessage(`foo${first + index}`))));
  }
  return datagrams;
}

/** In the order in which vdpa_dev_fill() of drivers/vdpa/vdpa.c writes the attributes. */
function deviceMessage(name: string): Uint8Array {
  const attributes = new AttributeWriter()
    .string(uapi.VDPA_ATTR_MGMTDEV_DEV_NAME, 'vdpasim_net')
    .string(uapi.VDPA_ATTR_DEV_NAME, name)
    .u32(uapi.VDPA_ATTR_DEV_ID, VIRTIO_ID_NET)
    .u32(uapi.VDPA_ATTR_DEV_VENDOR_ID, 0)
    .u32(uapi.VDPA_ATTR_DEV_MAX_VQS, 3)
    .u16(uapi.VDPA_ATTR_DEV_MAX_VQ_SIZE, 256)
    .u16(uapi.VDPA_ATTR_DEV_MIN_VQ_SIZE, 1);
  const payload = genlPayload(uapi.VDPA_CMD_DEV_GET, attributes.finish());
  return encodeMessage({ type: familyId, flags: NLM_F_MULTI, seq: 0, port: 0, payload });
}

function genlPayload(command: number, attributes: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(command, 1, 0, 0), attributes);
}

export class ListingKernel implements NetlinkTransport {
  readonly port = 4711;
  readonly #datagrams: readonly Uint8Array[];
  #answers: Uint8Array[] = [];
  #dump: { readonly request: NetlinkMessage; next: number } | undefined;

  constructor(datagrams: readonly Uint8Array[]) {
    this.#datagrams = datagrams;
  }

  send(datagram: Uint8Array): void {
    for (const request of decodeMessages(datagram)) {
      if (request.type === GENL_ID_CTRL) this.#answers.push(...familyAnswers(request));
      else this.#dump = { request, next: 0 };
    }
  }

  receive(): Uint8Array {
    const waiting = this.#answers.shift();
    if (waiting !== undefined) return waiting;
    if (this.#dump === undefined) throw new Error('nothing was requested');
    const { request } = this.#dump;
    const datagram = this.#datagrams[this.#dump.next++];
    if (datagram === undefined) return answer(request, { type: NLMSG_DONE, flags: NLM_F_MULTI, payload: int32(0) });
    return addressed(datagram, request);
  }

  close(): void {
    this.#answers = [];
  }
}

function familyAnswers(request: NetlinkMessage): Uint8Array[] {
  const family = new AttributeWriter()
    .string(CTRL_ATTR_FAMILY_NAME, uapi.VDPA_GENL_NAME)
    .u16(CTRL_ATTR_FAMILY_ID, familyId)
    .finish();
  return [answer(request, { payload: genlPayload(CTRL_CMD_NEWFAMILY, family) }), acknowledgement(request)];
}

/** A copy with the sequence number and port of a request in every message. */
function addressed(datagram: Uint8Array, { seq, port }: NetlinkMessage): Uint8Array {
  const bytes = datagram.slice();
  const view = viewOf(bytes);
  for (let at = 0; at < bytes.length; at += align(view.getUint32(at, littleEndian))) {
    view.setUint32(at + 8, seq, littleEndian);
    view.setUint32(at + 12, port, littleEndian);
  }
  return bytes;
}
