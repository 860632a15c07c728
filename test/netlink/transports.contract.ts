import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { chosenTransport, openTransport } from '../../src/netlink/transports/index.js';
import type { TransportName } from '../../src/netlink/transports/index.js';
import { NETLINK_GENERIC, NLM_F_DUMP } from '../../src/netlink/constants.js';
import {
  GenlFamilyNotFoundError,
  NetlinkTransportError,
  NetlinkError,
  NetlinkUnavailableError,
} from '../../src/netlink/error.js';
import { CTRL_CMD_GETFAMILY, GENL_CMD_CAP_HASPOL } from '../../src/netlink/genl-constants.js';
import { GenlSocket, encodeGenl } from '../../src/netlink/genl.js';
import { controlFamily } from '../../src/netlink/genl-family.js';
import { NetlinkSocket } from '../../src/netlink/socket.js';
import type { NetlinkTransport } from '../../src/netlink/transport.js';

/** Why a transport cannot be tested on this machine, or false if it can. */
export async function whySkipped(name: TransportName): Promise<string | false> {
  try {
    const transport = await openTransport({ protocol: NETLINK_GENERIC }, name);
    await transport.close();
    return false;
  } catch (error) {
    // Koffi is not an optional dependency: failing to load it is a failure.
    const optional = error instanceof NetlinkTransportError && name !== 'koffi';
    if (optional || error instanceof NetlinkUnavailableError) return error.message;
    throw error;
  }
}

/** What every transport does, tested on the running kernel with requests that any user may make. */
export async function transportContract(transport: TransportName): Promise<void> {
  await describe(`transport ${transport}`, { skip: await whySkipped(transport), timeout: 60_000 }, () => {
    const open = (): Promise<NetlinkTransport> => openTransport({ protocol: NETLINK_GENERIC }, transport);
    let socket: GenlSocket;
    before(async () => {
      socket = await GenlSocket.open(await open());
    });
    after(() => socket.close());

    it('resolves a family', async () => {
      const family = await socket.family('nlctrl');
      assert.equal(family.id, controlFamily.id);
      assert.equal(family.name, 'nlctrl');
      assert.ok(family.operations.some(({ command }) => command === CTRL_CMD_GETFAMILY));
      assert.deepEqual(
        family.multicastGroups.map(({ name }) => name),
        ['notify'],
      );
    });

    it('reports a family that does not exist', async () => {
      await assert.rejects(socket.family('no-such-fam'), (error) => {
        assert.ok(error instanceof GenlFamilyNotFoundError);
        return error.code === 'ENOENT' && error.family === 'no-such-fam';
      });
    });

    it('dumps all families', async () => {
      const families = await socket.families();
      assert.ok(families.some(({ name }) => name === 'nlctrl'));
      for (const family of families) assert.deepEqual(await socket.family(family.name), family);
    });

    it('dumps the policies of all families, each of which may take several datagrams', async () => {
      for (const family of await socket.families()) {
        const { operations } = await socket.policy(family);
        const described = family.operations.filter(({ flags }) => (flags & GENL_CMD_CAP_HASPOL) !== 0);
        assert.ok(operations.size <= described.length, family.name);
        assert.equal(operations.size > 0, described.length > 0, family.name);
      }
      const control = await socket.policy(controlFamily);
      const index = control.operations.get(CTRL_CMD_GETFAMILY)?.do;
      assert.ok(index !== undefined);
      assert.deepEqual(control.policies.get(index)?.get(2), { kind: 'nul-string', maxLength: 15 });
    });

    it('reports an error of the kernel', async () => {
      await assert.rejects(
        socket.gather(controlFamily, { command: 200 }, { operation: 'send an unknown command' }),
        (error) => {
          assert.ok(error instanceof NetlinkError);
          assert.equal(error.message, 'send an unknown command: Operation not supported (EOPNOTSUPP)');
          return true;
        },
      );
    });

    it('sends many requests over one socket', async () => {
      for (let count = 0; count < 100; count++) assert.equal((await socket.family('nlctrl')).id, controlFamily.id);
    });

    it('has a port of its own, to which the kernel answers', async () => {
      const [first, second] = [await open(), await open()];
      assert.notEqual(first.port, 0);
      assert.notEqual(first.port, second.port);
      const netlink = new NetlinkSocket(second);
      const payload = encodeGenl(controlFamily, { command: CTRL_CMD_GETFAMILY });
      for (const { port } of await netlink.gather(controlFamily.id, NLM_F_DUMP, payload))
        assert.equal(port, second.port);
      await Promise.all([first.close(), netlink.close()]);
    });

    it('stops waiting when its time limit expires', async () => {
      const transport = await open();
      const start = performance.now();
      await assert.rejects(async () => transport.receive(50), { code: 'ETIMEDOUT' });
      const waited = performance.now() - start;
      assert.ok(waited >= 49 && waited < 5000, `waited ${waited} ms`);
      await transport.close();
    });

    it('can be closed twice, and then rejects every use', async () => {
      const transport = await open();
      await transport.close();
      await transport.close();
      await assert.rejects(async () => transport.send(new Uint8Array(16)), { code: 'EBADF' });
      await assert.rejects(async () => transport.receive(10), { code: 'EBADF' });
    });

    it('reports a protocol that does not exist', async () => {
      await assert.rejects(openTransport({ protocol: 31 }, transport), (error) => {
        assert.ok(error instanceof NetlinkUnavailableError);
        assert.match(error.message, /^open netlink socket \(protocol 31\): Protocol not supported \(EPROTONOSUPPORT\)/);
        return true;
      });
    });

    it('is selected by VDPA_NETLINK_TRANSPORT', async () => {
      assert.equal(chosenTransport({ VDPA_NETLINK_TRANSPORT: transport }), transport);
      const byDefault = await GenlSocket.open();
      assert.equal((await byDefault.family('nlctrl')).id, controlFamily.id);
      await byDefault.close();
    });
  });
}
