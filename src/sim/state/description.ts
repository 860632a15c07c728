/** Descriptions of simulated machines, written by users: schemas/sim-machine.schema.json. */
import { ArgumentError } from '../../sys/error.js';
import { check } from '../../generated/sim-machine.js';
import { Errno } from '../../sys/errno.js';
import { parseHandle } from '../../vdpa/model.js';
import { SECTOR_SIZE } from '../../virtio/block.js';
import { featureBit } from '../../virtio/features.js';
import { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from '../../virtio/ids.js';
import { noMac, normalizeMac } from '../../virtio/mac-address.js';
import { SimulationError } from '../error.js';
import { cards, isCardDriver, type CardDriver } from './card.js';
import type { Fault } from './fault.js';
import { parseJson } from './json.js';
import { bareMachine, hex64 } from './model.js';
import type {
  BusDriver,
  CardManagementDevice,
  ConfigAttribute,
  Counter,
  HardwareManagementDevice,
  MachineState,
  ManagementDeviceState,
  ManagementDriver,
  SoftwareManagementDevice,
  VduseInstanceState,
} from './model.js';
import { identityOfBlock, identityOfNet } from './identity.js';
import { FIRST_MINOR, toInstance } from './vduse-instance.js';
import { DEFAULT_SIZE } from '../../vduse/spec/defaults.js';

/**
 * A management device. Absent properties have the defaults of its driver; without a driver of that name it is hardware.
 */
export interface ManagementDescription {
  readonly driver?: ManagementDriver;
  readonly supported_classes?: readonly (string | number)[];
  readonly max_supported_vqs?: number;
  readonly dev_features?: readonly (string | number)[];
  readonly config_attributes?: readonly ConfigAttribute[];
  readonly vendor_id?: number;
  readonly min_vq_size?: number;
  readonly max_vq_size?: number;
  readonly max_devices?: number;
  readonly mac?: string;
  readonly mtu?: number;
  readonly capacity?: number;
  readonly vstats?: Readonly<Record<string, Counter>>;
  readonly parent?: ParentDescription;
}

/** The device that a hardware driver is bound to, as sysfs shows it. */
export type ParentDescription = NonNullable<HardwareManagementDevice['parent']>;

/** A VDUSE instance that another program serves. */
export interface VduseDescription {
  readonly type: 'net' | 'block';
  readonly queues?: number;
  readonly queue_size?: number;
  readonly vendor_id?: number;
  readonly features?: readonly (string | number)[];
  readonly capacity?: number;
  readonly block_size?: 512 | 4096;
  readonly readonly?: boolean;
  readonly mac?: string;
  readonly mtu?: number;
}

/** A machine; schemas/sim-machine.schema.json says what each key means. */
export interface MachineDescription {
  /** By handle: `pci/0000:03:00.2`. */
  readonly mgmtdev: Readonly<Record<string, ManagementDescription>>;
  readonly uid?: number;
  readonly bus_driver?: BusDriver;
  readonly vduse?: Readonly<Record<string, VduseDescription>>;
  readonly faults?: readonly Fault[];
}

const classIds = { net: VIRTIO_ID_NET, block: VIRTIO_ID_BLOCK } as const;

/**
 * Parses a description.
 * @param source its name in errors
 * @throws SimulationError if it is not JSON, violates the schema, or contains unknown names
 */
export function parseMachine(text: string, source: string): MachineState {
  const refuse = (what: string): SimulationError =>
    new SimulationError(`${source} is not a valid machine description: ${what}. See schemas/sim-machine.schema.json.`);
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    throw refuse(`invalid JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!isDescription(value)) throw refuse(check(value) ?? '');
  try {
    return toMachine(value);
  } catch (error) {
    throw error instanceof DescriptionError || error instanceof ArgumentError ? refuse(error.message) : error;
  }
}

function isDescription(value: unknown): value is MachineDescription {
  return check(value) === undefined;
}

/** An error in a description, without the name of its file. */
class DescriptionError extends Error {
  override readonly name = 'DescriptionError';
}

function toMachine(description: MachineDescription): MachineState {
  const { uid = 0, bus_driver = 'virtio_vdpa', vduse = {}, faults = [] } = description;
  for (const { errno } of faults) {
    if (errno !== undefined && !Object.hasOwn(Errno, errno)) throw new DescriptionError(`unknown error ${errno}`);
  }
  return {
    uid,
    bus_driver,
    mgmtdev: Object.entries(description.mgmtdev).map(([handle, entry]) => toManagementDevice(handle, entry)),
    vduse: Object.entries(vduse).map(([name, entry], index) => toVduseInstance(name, entry, FIRST_MINOR + index)),
    faults,
  };
}

function toManagementDevice(handle: string, description: ManagementDescription): ManagementDeviceState {
  const named = parseHandle(handle);
  const usual = bareMachine.mgmtdev.find(
    ({ name, driver }) => name === (description.driver ?? handle) && driver !== 'hardware',
  );
  const driver = description.driver ?? usual?.driver ?? 'hardware';
  const classes = description.supported_classes?.map(classId) ?? usual?.classes ?? [VIRTIO_ID_NET];
  const common = {
    ...named,
    classes,
    max_vqs: description.max_supported_vqs ?? usual?.max_vqs ?? 3,
    features: description.dev_features
      ? hex64(resolveFeatures(handle, description.dev_features, namingClass(classes)))
      : (usual?.features ?? hex64(resolveFeatures(handle, ['VERSION_1', 'ACCESS_PLATFORM'], undefined))),
  };
  if (isCardDriver(driver)) return { ...common, ...cardPart(handle, description, driver), driver };
  if (driver === 'hardware') return { ...common, ...hardwarePart(description, classes), driver };
  rejectKeys(handle, description, driver, softwareKeys);
  return { ...common, driver } satisfies SoftwareManagementDevice;
}

function hardwarePart(
  description: ManagementDescription,
  classes: readonly number[],
): Omit<HardwareManagementDevice, 'bus' | 'name' | 'classes' | 'max_vqs' | 'features' | 'driver'> {
  const isNet = classes[0] === VIRTIO_ID_NET;
  const { vstats, parent } = description;
  return {
    config_attributes: description.config_attributes ?? (isNet ? ['mac', 'mtu', 'max_vqp', 'device_features'] : []),
    vendor_id: description.vendor_id ?? 0,
    min_vq_size: description.min_vq_size ?? 1,
    max_vq_size: description.max_vq_size ?? 256,
    max_devices: description.max_devices ?? 1,
    mac: (description.mac ?? noMac).toLowerCase(),
    mtu: description.mtu ?? DEFAULT_MTU,
    capacity: description.capacity ?? DEFAULT_SIZE / SECTOR_SIZE,
    ...(vstats && { vstats }),
    ...(parent && { parent }),
  };
}

/** What a card says of itself; its driver defines the rest. */
function cardPart(
  handle: string,
  description: ManagementDescription,
  driver: CardDriver,
): Pick<
  CardManagementDevice,
  'classes' | 'vendor_id' | 'max_vq_size' | 'mac' | 'mtu' | 'capacity' | 'vstats' | 'parent'
> {
  const facts = cards[driver];
  rejectKeys(handle, description, driver, [...cardKeys, ...facts.described]);
  for (const key of ['max_supported_vqs', 'dev_features'] as const) {
    if (description[key] === undefined)
      throw new DescriptionError(`/mgmtdev/${handle}/${key} is required by ${driver}`);
  }
  const classes = description.supported_classes?.map(classId) ?? facts.classes.slice(0, 1);
  const [type] = classes;
  if (classes.length !== 1 || type === undefined || !facts.classes.includes(type)) {
    throw new DescriptionError(`/mgmtdev/${handle}/supported_classes must be one type that ${driver} supports`);
  }
  const { vstats, parent } = description;
  const counter = Object.keys(vstats ?? {}).find((name) => !mlx5Counters.includes(name));
  if (counter !== undefined) {
    throw new DescriptionError(`/mgmtdev/${handle}/vstats/${counter} is not a counter of ${driver}`);
  }
  return {
    classes,
    vendor_id: description.vendor_id ?? facts.vendorId,
    max_vq_size: description.max_vq_size ?? facts.maxVirtqueueSize,
    mac: (description.mac ?? noMac).toLowerCase(),
    mtu: description.mtu ?? DEFAULT_MTU,
    capacity: description.capacity ?? DEFAULT_SIZE / SECTOR_SIZE,
    ...(vstats && { vstats }),
    ...(parent && { parent }),
  };
}

const softwareKeys = ['driver', 'supported_classes', 'max_supported_vqs', 'dev_features'];
/** In a description of any card; `supported_classes` may be there, because it is in the output of vdpa. */
const cardKeys = [...softwareKeys, 'parent'];
const mlx5Counters = ['received_desc', 'completed_desc'];
const DEFAULT_MTU = 1500;

/** The driver defines other properties, which would have no effect in a description. */
function rejectKeys(
  handle: string,
  description: ManagementDescription,
  driver: string,
  supported: readonly string[],
): void {
  const other = Object.keys(description).find((key) => !supported.includes(key));
  if (other === undefined) return;
  const known = softwareKeys === supported ? 'only supported by driver hardware, not by' : 'not supported by';
  throw new DescriptionError(`/mgmtdev/${handle}/${other} is ${known} ${driver}`);
}

function classId(name: string | number): number {
  if (typeof name === 'number') return name;
  return name === 'net' ? classIds.net : classIds.block;
}

/** The class whose feature names are used for several classes, as in the output: net, or the only class. */
function namingClass(classes: readonly number[]): number | undefined {
  if (classes.includes(VIRTIO_ID_NET)) return VIRTIO_ID_NET;
  return classes.length === 1 ? classes[0] : undefined;
}

function resolveFeatures(owner: string, names: readonly (string | number)[], deviceId: number | undefined): bigint {
  return names.reduce<bigint>((word, name) => {
    const bit = typeof name === 'number' ? name : featureBit(name, deviceId);
    if (bit === undefined) throw new DescriptionError(`${owner} has the unknown feature ${String(name)}`);
    return word | (1n << BigInt(bit));
  }, 0n);
}

function toVduseInstance(name: string, description: VduseDescription, minor: number): VduseInstanceState {
  const { type, queues, queue_size, vendor_id = 0, capacity, block_size, readonly, mac, mtu } = description;
  const common = {
    name,
    ...(queues !== undefined && { queues }),
    ...(queue_size !== undefined && { queueSize: queue_size }),
  };
  const identity =
    type === 'net'
      ? identityOfNet({
          ...common,
          type,
          ...(mac !== undefined && { mac: normalizeMac(mac) }),
          ...(mtu !== undefined && { mtu }),
        })
      : identityOfBlock({
          ...common,
          type,
          ...(capacity !== undefined && { size: capacity * SECTOR_SIZE }),
          ...(block_size !== undefined && { blockSize: block_size }),
          ...(readonly !== undefined && { readonly }),
        });
  const features = identity.features | resolveFeatures(name, description.features ?? [], classIds[type]);
  return toInstance(name, { ...identity, vendorId: vendor_id, features }, minor);
}
