import { close } from '../../sys/libc.js';
import { setInterfaceMtu } from '../../sys/network-interface.js';
import { normalizeMac, parseMac } from '../../virtio/mac-address.js';
import { checkNetOptions } from '../spec/limits.js';
import { madeTapOf, startAndRecord, type RecordedSpec, type InstanceRecord } from '../spec/instance-record.js';
import { threadCount } from '../engine/host.js';
import type { InflightFile } from '../engine/inflight-file.js';
import { moduleUrl } from '../engine/module-url.js';
import { netIdentity } from './identity.js';
import type { NetModuleOptions } from './module.js';
import { VduseServer } from '../server.js';
import { openTap, persistTap, type TapInterface } from './tap.js';
import { DEFAULT_QUEUE_SIZE, defaultMac } from '../spec/defaults.js';
import type { NetBackendOptions } from '../spec/backend.js';

/** A VDUSE network device. */
export interface NetDeviceOptions {
  readonly name: string;
  readonly backend: NetBackendOptions;
  /** `00:11:22:33:44:55`; derived from the name by default, so that the device always has the same one. */
  readonly mac?: string;
  readonly mtu?: number;
  /** Number of queue pairs; 1 by default. */
  readonly queues?: number;
  /** Maximum number of descriptors of each queue: a power of two from 4 to 1024, 256 by default. */
  readonly queueSize?: number;
  /** Offers packed virtqueues to drivers. */
  readonly packed?: boolean;
  /**
   * Number of threads that serve the pairs; one for each pair by default, up to the number of `cpus`, or processors.
   */
  readonly threads?: number;
  /**
   * Processors that the threads run on: the first thread on the first, and so on, from the first again if there are
   * more threads. All that the process may use by default.
   */
  readonly cpus?: readonly number[];
  readonly takeOver?: boolean;
  /** The log of what packed queues have in flight, for the server that takes over. It remains the caller's. */
  readonly inflight?: InflightFile;
  /** Records what the device was created with, for the server that takes over. */
  readonly record?: InstanceRecord;
}

/** A served network device, and its interface on this machine. */
export interface NetDevice {
  readonly server: VduseServer;
  readonly mac: string;
  /** The tap's name. */
  readonly ifname: string | undefined;
  /** The tap that the last server of the instance created, if it was not found and a new one was created. */
  readonly lostTap: string | undefined;
}

/**
 * Serves a network device until its server is stopped. The device can be attached to the vdpa bus once this returns.
 * @throws DeviceNameError, DeviceOptionError, InterfaceNameError, SystemError
 */
export async function serveNetDevice(options: NetDeviceOptions): Promise<NetDevice> {
  const { backend, queues: pairs = 1, queueSize = DEFAULT_QUEUE_SIZE, packed = false, mtu } = options;
  const mac = normalizeMac(options.mac ?? defaultMac(options.name));
  checkNetOptions({ pairs, queueSize, mac, mtu });
  const made = madeTapOf(options.record?.read());
  const tap = backend.type === 'tap' ? openTap(backend.ifname, pairs, made) : undefined;
  const closeTap = (): void => {
    for (const fd of tap?.fds ?? []) close(fd);
  };
  try {
    // An interface that a previous server created keeps its current settings.
    const isAgain = tap?.former === 'found';
    if (tap && mtu !== undefined && !isAgain) setInterfaceMtu(tap.name, mtu);
    const identity = netIdentity({ mac, mtu, pairs, queueSize, packed, offloads: tap !== undefined });
    const spec: RecordedSpec = {
      type: 'net',
      backend: backend.type,
      queues: identity.queueCount,
      queueSize,
      packed,
      features: identity.features,
      mac,
      ...(mtu !== undefined && { mtu }),
      // It may have been renamed.
      ...(tap && { ifname: made && isAgain ? made.name : tap.name }),
      ...(tap?.isMade === true && { madeInterface: tap.index, interfaceAddress: tap.address }),
    };
    const server = await startAndRecord(spec, options, () =>
      VduseServer.start({
        name: options.name,
        identity,
        dataPlane: { module: moduleUrl('net-module'), options: moduleOptions(mac, tap) },
        // Both queues of a pair are served by the same thread.
        queueGroup: 2,
        threads: threadCount(options, pairs),
        ...(options.cpus && { cpus: options.cpus }),
        ...(options.inflight && { inflight: options.inflight }),
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

function moduleOptions(mac: string, tap: TapInterface | undefined): NetModuleOptions {
  return tap ? { backend: 'tap', fds: tap.fds } : { backend: 'loopback', mac: parseMac(mac) };
}
