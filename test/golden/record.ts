/**
 * Records what iproute2's vdpa and the kernel exchange, for the tests that compare every byte:
 *
 *     npm run -s lab -- node build/test/golden/record.js | node build/test/golden/record.js write
 *
 * The first program runs in the lab, listens on an nlmon device, and prints one recording per line. The second one writes them to
 * test/golden/.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { NLM_F_REQUEST, NETLINK_GENERIC } from '../../src/netlink/constants.js';
import { decodeMessages } from '../../src/netlink/message.js';
import { checked } from '../../src/sys/libc.js';
import {
  MSG_DONTWAIT,
  SOCK_CLOEXEC,
  SO_RCVBUFFORCE,
  SOL_SOCKET,
  bind,
  setSocketOption,
  socket,
} from '../../src/sys/socket.js';
import { recvfrom } from '../support/recvfrom.js';
import type { GoldenExchange } from './exchange.js';

const recordedWith = 'npm run -s lab -- node build/test/golden/record.js | node build/test/golden/record.js write';

/** The commands to record, in order, and what each shows. */
const scenes: readonly (readonly [name: string, note: string, command: string])[] = [
  ['mgmtdev-show', 'a dump of management devices', 'mgmtdev show'],
  ['mgmtdev-show-one', 'one management device, requested by name', 'mgmtdev show vdpasim_net'],
  ['dev-show-none', 'an empty dump: only NLMSG_DONE', 'dev show'],
  ['dev-add', 'a device is added', 'dev add name foo0 mgmtdev vdpasim_net mac 02:00:00:00:00:01'],
  [
    'dev-add-mtu',
    'a device with more attributes',
    'dev add name foo1 mgmtdev vdpasim_net mac 02:00:00:00:00:02 mtu 9000',
  ],
  ['dev-add-exists', 'an error: the device exists', 'dev add name foo0 mgmtdev vdpasim_net'],
  ['dev-add-no-mgmtdev', 'an error: the management device does not exist', 'dev add name foo2 mgmtdev nowhere'],
  ['dev-add-max-vqp', 'an error from the driver', 'dev add name foo2 mgmtdev vdpasim_net max_vqp 3'],
  ['dev-show', 'a dump of two devices', 'dev show'],
  ['dev-show-one', 'one device, requested by name', 'dev show foo0'],
  ['dev-show-missing', 'an error for a get', 'dev show nowhere'],
  ['dev-config-show', 'a dump of configurations', 'dev config show'],
  ['dev-config-show-one', 'one configuration, requested by name', 'dev config show foo0'],
  ['dev-vstats-show', 'statistics of a virtqueue', 'dev vstats show foo0 qidx 0'],
  ['dev-set', 'a device is changed', 'dev set name foo0 mac 02:00:00:00:00:03'],
  ['dev-del', 'a device is deleted', 'dev del foo0'],
  ['dev-del-missing', 'an error with an extended acknowledgement', 'dev del foo0'],
];

/** Receives every netlink datagram of this machine, through an nlmon device (linux/if_packet.h, drivers/net/nlmon.c). */
class Monitor {
  readonly #fd: number;
  readonly #buffer = new Uint8Array(1 << 20);

  constructor(device: string) {
    execFileSync('ip', ['link', 'add', device, 'type', 'nlmon']);
    execFileSync('ip', ['link', 'set', device, 'up']);
    const AF_PACKET = 17;
    const SOCK_DGRAM = 2;
    const ETH_P_ALL = 3;
    this.#fd = checked('open packet socket', socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    checked('make room', setSocketOption(this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20));
    // struct sockaddr_ll: family, protocol in network byte order, interface index.
    const address = Buffer.alloc(20);
    address.writeUInt16LE(AF_PACKET, 0);
    address.writeUInt16BE(ETH_P_ALL, 2);
    address.writeInt32LE(Number(readFileSync(`/sys/class/net/${device}/ifindex`, 'utf8')), 4);
    checked(`listen to ${device}`, bind(this.#fd, address, address.length));
  }

  /** The generic netlink datagrams since the last call. */
  take(): GoldenExchange['datagrams'] {
    const datagrams: { from: 'tool' | 'kernel'; hex: string }[] = [];
    for (;;) {
      const address = Buffer.alloc(20);
      const length = recvfrom(this.#fd, this.#buffer, this.#buffer.length, MSG_DONTWAIT, address, Uint32Array.of(20));
      if (length === -1) return datagrams;
      if (address.readUInt16BE(2) !== NETLINK_GENERIC) continue;
      const bytes = this.#buffer.slice(0, length);
      const isRequest = decodeMessages(bytes).some(({ flags, port }) => (flags & NLM_F_REQUEST) !== 0 && port === 0);
      datagrams.push({ from: isRequest ? 'tool' : 'kernel', hex: Buffer.from(bytes).toString('hex') });
    }
  }
}

function record(): void {
  const tool = execFileSync('vdpa-iproute2', ['-V'], { encoding: 'utf8' }).trim();
  const monitor = new Monitor('nlmon0');
  for (const [name, note, line] of scenes) {
    const words = line.split(' ');
    const { status, stdout, stderr } = spawnSync('vdpa-iproute2', words, { encoding: 'utf8' });
    assert.ok(status !== null, `vdpa ${line} did not end by itself`);
    const datagrams = monitor.take();
    assert.ok(datagrams.length >= 4, `${name}: too few datagrams were heard`);
    const command = `vdpa ${line}`;
    const scene: GoldenExchange = {
      note,
      recordedWith,
      kernel: release(),
      tool,
      command,
      status,
      stdout,
      stderr,
      datagrams,
    };
    console.log(JSON.stringify({ name, scene }));
  }
}

function write(): void {
  for (const line of readFileSync(0, 'utf8').trim().split('\n')) {
    const { name, scene } = JSON.parse(line) as { name: string; scene: GoldenExchange };
    assert.match(name, /^[a-z-]+$/);
    writeFileSync(join('test/golden', `${name}.json`), `${JSON.stringify(scene, null, 2)}\n`);
  }
}

if (process.argv[2] === 'write') write();
else record();
