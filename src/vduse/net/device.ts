import { close } from '../../sys/libc.js';
import { setInterfaceMtu } from '../../sys/network-interface.js';
import { formatMac } from '../../virtio/mac-address.js';
import { checkNetOptions } from '../spec/limits.js';
import { madeTapOf, startAndRecord, type RecordedSpec, type InstanceRecord } from '../spec/instance-record.js';
import { moduleUrl } from '../engine/module-url.js';
import { netIdentity } from './identity.js';
import type { NetModuleOptions } from './module.js';
import { VduseServer } from '../server.js';
import { openTap, persistTap, type TapInterface } from './tap.js';
import { DEFAULT_QUEUE_SIZE, defaultMac } from '../spec/defaults.js';
import type { NetBackendOptions } from '../spec/backend.js';

/** A network device of VDUSE. */
export interface NetDeviceOptions {
  readonly name: string;
  readonly backend: NetBackendOptions;
  /** Six bytes; made from the name by default, so that the device has the same whenever it is made. */
  readonly mac?: Uint8Array;
  readonly mtu?: number;
  /** How many pairs of queues there are; 1 by default. */
  readonly pairs?: number;
  /** How many descriptors each queue has at most: a power of two from 4 to 1024, 256 by default. */
  readonly queueSize?: number;
  /** How many threads serve the pairs; 1 by default. */
  readonly threads?: number;
  readonly takeOver?: boolean;
  /** Where it is kept, for the server that takes over, what the device is made of. */
  readonly record?: InstanceRecord;
}

/** A network device that is served, and what it is on this machine. */
export interface NetDevice {
  readonly server: VduseServer;
  readonly mac: Uint8Array;
  /** The tap's name. */
  readonly ifname: string | undefined;
  /** The tap that the last server of the instance had made, where it is nowhere to be found and another was made. */
  readonly lostTap: string | undefined;
}

/**
 * Serves a network device until its server is stopped. The device can be attached to the vdpa bus when this returns.
 * @throws DeviceNameError, DeviceOptionError, InterfaceNameError, SystemError
 */
export async function serveNetDevice(options: NetDeviceOptions): Promise<NetDevice> {
  const { backend, pairs = 1, queueSize = DEFAULT_QUEUE_SIZE, mtu, mac = defaultMac(options.name) } = options;
  checkNetOptions({ pairs, queueSize, mac, mtu });
  const made = madeTapOf(options.record?.read());
  const tap = backend.type === 'tap' ? openTap(backend.ifname, pairs, made) : undefined;
  const closeTap = (): void => {
    for (const fd of tap?.fds ?? []) close(fd);
  };
  try {
    // One that a server has made before keeps what it was given since.
    const isAgain = tap?.former === 'found';
    if (tap && mtu !== undefined && !isAgain) setInterfaceMtu(tap.name, mtu);
    const identity = netIdentity({ mac, mtu, pairs, queueSize, offloads: tap !== undefined });
    const makings: RecordedSpec = {
      type: 'net',
      backend: backend.type,
      queues: identity.queueCount,
      queueSize,
      features: identity.features,
      mac: formatMac(mac),
      ...(mtu !== undefined && { mtu }),
      // It may have another name by now.
      ...(tap && { ifname: made && isAgain ? made.name : tap.name }),
      ...(tap?.isMade === true && { madeInterface: tap.index, interfaceAddress: tap.address }),
    };
    const server = await startAndRecord(makings, options, () =>
      VduseServer.start({
        name: options.name,
        identity,
        dataPlane: { module: moduleUrl('net-module'), options: moduleOptions(mac, tap) },
        // Both queues of a pair are served by the same thread.
        queueGroup: 2,
        ...(options.threads !== undefined && { threads: options.threads }),
        ...(options.takeOver !== undefined && { takeOver: options.takeOver }),
      }),
    );
    if (tap && options.record) persistTap(tap);
    server.on('state', (state) => {
      if (state === 'stopped') closeTap();
    });
    return { server, mac, ifname: tap?.name, lostTap: tap?.former === 'lost' ? made?.name : undefined };
  } catch (error) {
    closeTap();
    throw error;
  }
}

function moduleOptions(mac: Uint8Array, tap: TapInterface | undefined): NetModuleOptions {
  return tap ? { backend: 'tap', fds: tap.fds } : { backend: 'loopback', mac };
}
