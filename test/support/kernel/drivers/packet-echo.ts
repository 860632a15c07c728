/**
 * A program that sends numbered frames to an interface's own address, checks that each comes back once, in order and unchanged,
 * and prints how many: `packet-echo.js INTERFACE ID SECONDS`. It ignores frames with another ID.
 */
import '../lab/inside.js';
import assert from 'node:assert/strict';
import { Random } from '../../random.js';
import { attribute, frameOf } from '../servers/net-device.js';
import { PacketSocket } from './packet-socket.js';
import { REPLY_TIMEOUT_MS } from '../lab/patience.js';

const [netdev = '', id = '0', seconds = '1'] = process.argv.slice(2);
/** The maximum number of frames in flight. */
const WINDOW = 16;
const HEADER = 14;

const mac = Buffer.from(attribute(netdev, 'address').replaceAll(':', ''), 'hex');
const random = new Random(Number(id));
const body = random.bytes(1400);
const packets = new PacketSocket(netdev);
const underway: Uint8Array[] = [];
let sent = 0;
let received = 0;

function sendNext(): void {
  const content = Buffer.from(body.subarray(0, 46 + random.below(1354)));
  content.writeUInt32BE(Number(id), 0);
  content.writeUInt32BE(sent++, 4);
  const frame = frameOf(mac, mac, content);
  underway.push(frame);
  packets.send(frame);
}

async function receiveOne(): Promise<void> {
  const frame = await packets.receive(REPLY_TIMEOUT_MS);
  assert.ok(frame, `${underway.length} of ${sent} frames did not come back`);
  if (Buffer.from(frame).readUInt32BE(HEADER) !== Number(id)) return;
  assert.deepEqual(frame, new Uint8Array(underway.shift() ?? []), `frame ${received} differs`);
  received++;
}

const end = performance.now() + Number(seconds) * 1000;
while (performance.now() < end) {
  while (underway.length < WINDOW) sendNext();
  await receiveOne();
}
while (underway.length > 0) await receiveOne();
assert.equal(received, sent);
assert.equal(packets.drops(), 0, 'the socket dropped frames');
packets.close();
console.log(`${received} frames`);
