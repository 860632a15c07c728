/**
 * A program that sends packets from one interface to another and prints how long each took, as JSON, in milliseconds:
 * node delay-probe.js FROM TO MAC SECONDS
 */
import { readFileSync, readSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../../src/sys/clock.js';
import { poll, POLLIN } from '../../src/sys/poll.js';
import { octets, openPacketSocket } from './packet-socket.js';
import type { Delays } from './results.js';

/** For experiments, and different from that of the flood. */
const protocol = 0x88b6;
const frameBytes = 60;
const sequenceAt = 14;
/** A packet that has not arrived after this time is lost. */
const patienceMs = 2000;
const pauseMs = 5;

const [from = '', to = '', mac = '', seconds = ''] = process.argv.slice(2);
const sending = openPacketSocket(from, protocol);
const receiving = openPacketSocket(to, protocol);
const frame = Buffer.alloc(frameBytes);
frame.set(octets(mac), 0);
frame.set(octets(readFileSync(`/sys/class/net/${from}/address`, 'utf8').trim()), 6);
frame.writeUInt16BE(protocol, 12);
const came = Buffer.alloc(2048);

/** Waits for the packet with this number; earlier ones already count as lost. */
function comes(sequence: number, until: number): boolean {
  for (let left = until - monotonicMs(); left > 0; left = until - monotonicMs()) {
    if (poll(receiving, POLLIN, left) !== 1) continue;
    readSync(receiving, came);
    if (came.readUInt32BE(sequenceAt) === sequence) return true;
  }
  return false;
}

const delays: number[] = [];
let lost = 0;
const end = monotonicMs() + Number(seconds) * 1000;
for (let sequence = 1; monotonicMs() < end; sequence++) {
  frame.writeUInt32BE(sequence, sequenceAt);
  const sent = monotonicMs();
  writeSync(sending, frame);
  if (comes(sequence, sent + patienceMs)) delays.push(monotonicMs() - sent);
  else lost++;
  await sleep(pauseMs);
}
const result: Delays = { delays, lost };
process.stdout.write(JSON.stringify(result));
