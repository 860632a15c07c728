import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { viewOf, littleEndian } from '../../src/netlink/bytes.js';
import { openKoffiTransport } from '../../src/netlink/transports/koffi.js';
import { AttributeList, AttributeWriter } from '../../src/netlink/attribute.js';
import { NETLINK_GENERIC, NETLINK_KOBJECT_UEVENT } from '../../src/netlink/constants.js';
import { NetlinkError } from '../../src/netlink/error.js';
import { CTRL_ATTR_FAMILY_NAME, CTRL_CMD_GETFAMILY } from '../../src/netlink/genl-constants.js';
import { controlFamily } from '../../src/netlink/genl-family.js';
import { decodeAttributePolicy } from '../../src/netlink/genl-policy.js';
import { GenlSocket } from '../../src/netlink/genl.js';
import { encodeMessage } from '../../src/netlink/message.js';
import { close, lastErrno } from '../../src/sys/libc.js';
import { AF_NETLINK, SOCK_CLOEXEC, SOCK_RAW, sendto, socket } from '../../src/sys/socket.js';
import { Errno } from '../../src/sys/errno.js';
import { whySkipped } from './transports.contract.js';

/** What koffi's transport does in addition to what every transport does, tested on the running kernel. */
export async function koffiContract(): Promise<void> {
  await describe('transport koffi, beyond the contract', { skip: await whySkipped('koffi'), timeout: 60_000 }, () => {
    it('delivers the extended acknowledgement of an error', async () => {
      const genl = await GenlSocket.open(openKoffiTransport({ protocol: NETLINK_GENERIC }));
      const attributes = new AttributeWriter().string(CTRL_ATTR_FAMILY_NAME, 'a-name-that-is-too-long').finish();
      await assert.rejects(genl.gather(controlFamily, { command: CTRL_CMD_GETFAMILY, attributes }), (error) => {
        assert.ok(error instanceof NetlinkError);
        assert.ok(error.code === 'EINVAL' || error.code === 'ERANGE', error.code); // Newer kernels report the latter.
        assert.equal(error.offset, 20);
        assert.match(error.kernelMessage ?? '', /failed policy validation/);
        assert.ok(error.policy !== undefined);
        assert.deepEqual(decodeAttributePolicy(AttributeList.parse(error.policy)), {
          kind: 'nul-string',
          maxLength: 15,
        });
        return true;
      });
      await genl.close();
    });

    it('reports that a datagram is larger than the buffer, and receives the next one', async () => {
      const small = await GenlSocket.open(openKoffiTransport({ protocol: NETLINK_GENERIC }, 100));
      const attributes = new AttributeWriter().string(CTRL_ATTR_FAMILY_NAME, 'nlctrl').finish();
      await assert.rejects(
        small.gather(controlFamily, { command: CTRL_CMD_GETFAMILY, attributes }),
        (error) =>
          error instanceof NetlinkError &&
          error.code === 'EMSGSIZE' &&
          /^The kernel sent \d+ bytes at/.test(error.hint ?? ''),
      );
      await assert.rejects(small.family('no-such-fam'), { code: 'ENOENT' });
      await small.close();
    });

    it('drops what another process or socket sends to its port', async (t: TestContext) => {
      const transport = openKoffiTransport({ protocol: NETLINK_GENERIC });
      const genl = await GenlSocket.open(transport);
      const forged = encodeMessage({
        type: 2,
        flags: 0x100,
        seq: 1,
        port: transport.port,
        payload: new Uint8Array(20),
      });
      const sent = sendTo(transport.port, forged);
      if (sent === Errno.EPERM) t.skip('only root can send to the port of another netlink socket');
      else assert.equal(sent, 0);
      assert.throws(() => transport.receive(20), { code: 'ETIMEDOUT' });
      sendTo(transport.port, forged);
      assert.equal((await genl.family('nlctrl')).name, 'nlctrl');
      await genl.close();
    });

    it('joins multicast groups of any protocol, and reports a group that does not exist', async () => {
      const genl = await GenlSocket.open();
      const groups = (await genl.family('nlctrl')).multicastGroups.map(({ id }) => id);
      await openKoffiTransport({ protocol: NETLINK_GENERIC, groups, receiveBufferSize: 1 << 20 }).close();
      await openKoffiTransport({ protocol: NETLINK_KOBJECT_UEVENT, groups: [1] }).close();
      assert.throws(() => openKoffiTransport({ protocol: NETLINK_GENERIC, groups: [100_000] }), {
        name: 'NetlinkError',
        operation: 'join netlink multicast group 100000',
        code: 'EINVAL',
      });
      await genl.close();
    });
  });
}

/** Sends from a new socket to another netlink port. Returns the error number, or 0. */
function sendTo(port: number, datagram: Uint8Array): number {
  const fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
  const address = new Uint8Array(12);
  viewOf(address).setUint16(0, AF_NETLINK, littleEndian);
  viewOf(address).setUint32(4, port, littleEndian);
  const errno = sendto(fd, datagram, datagram.length, 0, address, address.length) === -1 ? lastErrno() : 0;
  close(fd);
  return errno;
}
