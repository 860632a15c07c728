import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { AttributeWriter } from '../../src/netlink/attribute.js';
import { transportNames, openTransport } from '../../src/netlink/transports/index.js';
import { openKoffiTransport } from '../../src/netlink/transports/koffi.js';
import { NETLINK_GENERIC, NETLINK_KOBJECT_UEVENT } from '../../src/netlink/constants.js';
import { NetlinkError } from '../../src/netlink/error.js';
import type { GenlFamily } from '../../src/netlink/genl-family.js';
import { GenlSocket } from '../../src/netlink/genl.js';
import type { NetlinkTransport } from '../../src/netlink/transport.js';
import {
  VDPA_ATTR_DEV_NAME,
  VDPA_ATTR_DEV_NET_CFG_MACADDR,
  VDPA_ATTR_DEV_NET_CFG_MTU,
  VDPA_ATTR_MGMTDEV_DEV_NAME,
  VDPA_CMD_DEV_DEL,
  VDPA_CMD_DEV_GET,
  VDPA_CMD_DEV_NEW,
} from '../../src/vdpa/uapi.js';
import { transportContract, whySkipped } from '../netlink/transports.contract.js';
import { koffiContract } from '../netlink/koffi.contract.js';
import { SIMULATORS, testsWith } from '../support/kernel/lab/needs.js';

const { after, before, describe, test: it } = testsWith(...SIMULATORS);

for (const name of transportNames) await transportContract(name);
await koffiContract();

/** Counts the datagrams received through a transport. */
class Counter implements NetlinkTransport {
  datagrams = 0;
  readonly #inner: NetlinkTransport;

  constructor(inner: NetlinkTransport) {
    this.#inner = inner;
  }

  get port(): number {
    return this.#inner.port;
  }

  send(datagram: Uint8Array): void | Promise<void> {
    return this.#inner.send(datagram);
  }

  receive(timeoutMs: number): Uint8Array | Promise<Uint8Array> {
    this.datagrams++;
    return this.#inner.receive(timeoutMs);
  }

  close(): void | Promise<void> {
    return this.#inner.close();
  }
}

let socket: GenlSocket;
let family: GenlFamily;

async function addDevice(name: string): Promise<void> {
  const attributes = new AttributeWriter()
    .string(VDPA_ATTR_MGMTDEV_DEV_NAME, 'vdpasim_net')
    .string(VDPA_ATTR_DEV_NAME, name)
    .finish();
  assert.deepEqual(await socket.gather(family, { command: VDPA_CMD_DEV_NEW, attributes }), []);
}

async function deleteDevice(name: string): Promise<void> {
  const attributes = new AttributeWriter().string(VDPA_ATTR_DEV_NAME, name).finish();
  await socket.gather(family, { command: VDPA_CMD_DEV_DEL, attributes }, { operation: `delete ${name}` });
}

/** Ways to open a transport, by name, or why one cannot be tested. */
const ways: [name: string, skip: string | false, open: () => NetlinkTransport | Promise<NetlinkTransport>][] = [
  ['room for 4 KiB per datagram', false, () => openKoffiTransport({ protocol: NETLINK_GENERIC }, 4096)],
];
for (const name of transportNames) {
  ways.push([name, await whySkipped(name), () => openTransport({ protocol: NETLINK_GENERIC }, name)]);
}

describe('the vdpa family', () => {
  before(async () => {
    socket = await GenlSocket.open(openKoffiTransport({ protocol: NETLINK_GENERIC }));
    family = await socket.family('vdpa');
  });
  after(() => socket.close());

  describe('with 200 devices', () => {
    const names = Array.from({ length: 200 }, (_, index) => `foo${index}`);
    before(async () => {
      for (const name of names) await addDevice(name);
    });
    after(async () => {
      for (const name of names) await deleteDevice(name);
    });

    for (const [name, skip, open] of ways) {
      it(`the dump is complete, in several datagrams: ${name}`, { skip }, async () => {
        const counter = new Counter(await open());
        const genl = await GenlSocket.open(counter);
        const vdpa = await genl.family('vdpa');
        counter.datagrams = 0;
        const devices = await genl.gather(vdpa, { command: VDPA_CMD_DEV_GET, dump: true });
        assert.deepEqual(
          devices.map(({ attributes }) => attributes.string(VDPA_ATTR_DEV_NAME)).sort(),
          [...names].sort(),
        );
        assert.ok(counter.datagrams >= 2, `${counter.datagrams} datagrams`);
        await genl.close();
      });
    }
  });

  it('an error has the message of the kernel', async () => {
    await assert.rejects(deleteDevice('nowhere'), (error) => {
      assert.ok(error instanceof NetlinkError);
      assert.equal(error.message, 'delete nowhere: No such device (ENODEV): vdpa: device not found');
      return true;
    });
  });

  it('the policy of the family is reported, with its limits', async () => {
    const { operations, policies } = await socket.policy(family);
    const index = operations.get(VDPA_CMD_DEV_NEW)?.do;
    assert.ok(index !== undefined);
    const policy = policies.get(index);
    assert.deepEqual(policy?.get(VDPA_ATTR_DEV_NAME), { kind: 'string' });
    assert.deepEqual(policy.get(VDPA_ATTR_DEV_NET_CFG_MTU), { kind: 'u16', min: 68n, max: 65535n });
    assert.deepEqual(policy.get(VDPA_ATTR_DEV_NET_CFG_MACADDR), { kind: 'binary', minLength: 6, maxLength: 6 });
  });

  it('lost messages are reported, and the socket continues', async () => {
    const options = { protocol: NETLINK_KOBJECT_UEVENT, groups: [1], receiveBufferSize: 4096 };
    const events = openKoffiTransport(options);
    for (let round = 0; round < 20; round++) {
      await addDevice('foo0');
      await deleteDevice('foo0');
    }
    const outcomes = new Set<string>();
    for (;;) {
      try {
        outcomes.add(
          Buffer.from(await events.receive(0))
            .toString()
            .split('\0')[0]
            ?.split('@')[0] ?? '',
        );
      } catch (error) {
        assert.ok(error instanceof NetlinkError);
        outcomes.add(error.code);
        if (error.code === 'ETIMEDOUT') break;
      }
    }
    assert.ok(outcomes.has('ENOBUFS') && outcomes.has('add'), [...outcomes].join());
    await events.close();
  });
});
