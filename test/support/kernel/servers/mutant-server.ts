/** Serves a device with a deliberate fault in a process of its own. Started with fork(): argv has its name. */
import { ftruncate, memfdCreate, MFD_CLOEXEC } from '../../../../src/sys/file.js';
import { checked } from '../../../../src/sys/libc.js';
import { blockIdentity, blockLimits, defaultBlockSizes } from '../../../../src/vduse/block/identity.js';
import { netIdentity } from '../../../../src/vduse/net/identity.js';
import { openTap } from '../../../../src/vduse/net/tap.js';
import { VduseServer } from '../../../../src/vduse/server.js';
import { parseMac } from '../../../../src/virtio/mac-address.js';
import type { MutantOptions } from './mutant-plane.js';
import { DISK_BYTES, faultless, mutants, TAP, type Mutant } from './mutants.js';

const [, , mutant = ''] = process.argv;
const found: (Partial<Mutant> & Pick<Mutant, 'type'>) | undefined = mutants[mutant] ?? faultless[mutant];
if (found === undefined) throw new Error(`there is no mutant ${mutant}`);
const { type, identity: change, believes = DISK_BYTES, receivesFor } = found;
const mac = '02:00:00:00:00:01';
const queueSize = 64;

function block(): [ReturnType<typeof blockIdentity>, MutantOptions['plane']] {
  const fd = checked('create a disk', memfdCreate('disk', MFD_CLOEXEC));
  const space = DISK_BYTES + 65536;
  checked('size it', ftruncate(fd, space));
  const limits = blockLimits({ size: DISK_BYTES, readonly: false }, 'mutant');
  const identity = blockIdentity({
    limits,
    blocks: defaultBlockSizes(512),
    queues: 1,
    queueSize,
    packed: false,
    hasCache: true,
  });
  const options = { limits: { ...limits, size: believes }, backend: { backend: 'ram', fd, size: space } } as const;
  return [identity, { type: 'block', options }];
}

function net(): [ReturnType<typeof netIdentity>, MutantOptions['plane']] {
  const identity = netIdentity({ mac, mtu: undefined, pairs: 1, queueSize, packed: false, offloads: false });
  return [identity, { type: 'net', options: { backend: 'loopback', mac: receivesFor ?? parseMac(mac) } }];
}

function tap(): [ReturnType<typeof netIdentity>, MutantOptions['plane']] {
  const identity = netIdentity({ mac, mtu: undefined, pairs: 1, queueSize, packed: false, offloads: true });
  return [identity, { type: 'net', options: { backend: 'tap', fds: openTap(TAP, 1).fds } }];
}

const [identity, plane] = { block, net, tap }[type]();
const options: MutantOptions = { mutant, plane };
const server = await VduseServer.start({
  name: 'mutant0',
  identity: change?.(identity) ?? identity,
  dataPlane: { module: new URL('mutant-plane.js', import.meta.url).href, options },
});
process.on('message', () => {
  void server.stop().then(() => {
    process.disconnect();
  });
});
process.send?.('ready');
