/// <reference types="node" preserve="true" />
/**
 * The library: vDPA devices over generic netlink, and their drivers, interfaces, disks and nodes on the machine.
 * `vdpa/netlink` is netlink itself, `vdpa/iommufd` is /dev/iommu.
 */
export {
  VdpaClient,
  type DeviceQueues,
  type EachOptions,
  type QueueRefusal,
  type VdpaClientOptions,
} from './vdpa/client.js';
export { Listing } from './vdpa/listing.js';
export type { DeviceChange, DeviceSpec, VdpaRequest } from './vdpa/encode.js';
export {
  formatHandle,
  parseHandle,
  type BlockConfig,
  type DeviceConfig,
  type ManagementDevice,
  type ManagementDeviceHandle,
  type NetConfig,
  type OtherConfig,
  type VdpaDevice,
  type VendorCounter,
  type VendorStats,
} from './vdpa/model.js';
export {
  GenlFamilyNotFoundError,
  NetlinkError,
  NetlinkProtocolError,
  NetlinkUnavailableError,
} from './netlink/error.js';
export {
  ArgumentError,
  MissingKoffiError,
  SystemError,
  UnsupportedMachineError,
  type SystemErrorDetails,
} from './sys/error.js';
export type { WaitOptions } from './sys/wait.js';
export {
  StatsWatch,
  eachDeviceStats,
  watchStats,
  type CounterSample,
  type DeviceStats,
  type StatsSample,
  type WatchStatsOptions,
} from './vdpa/stats.js';
export { LocalFiles, type DeviceNumber, type FileAccess, type MachineFiles } from './sysfs/machine-files.js';
export { VHOST_VDPA, VIRTIO_VDPA, VdpaBus, driverName, type BusDevice, type ParentDevice } from './sysfs/bus.js';
export { bindDriver, unbindDriver, type BindOptions, type BindResult } from './sysfs/binding.js';
export type { NodeAccess } from './sysfs/node-access.js';
export { findDevices, type DeviceQuery } from './sysfs/find-devices.js';
export type { BusInfo, DeviceFolder, VirtioDevice } from './sysfs/virtio-device.js';
export {
  describeUser,
  findUsers,
  findVisibleUsers,
  type DeviceUser,
  type NodeUser,
  type FindUsersOptions,
} from './sysfs/users.js';
export type { InterfaceUser, ReadInterfaceUses } from './sysfs/interface-users.js';
export { OpenNodes, type Opener } from './sysfs/open-nodes.js';
export type { DiskUser } from './sysfs/disk-users.js';
export { describeInTheWay, findBlockers, type Blocker, type RemovalOptions } from './sysfs/removal.js';
export { findServerTrouble, type ServerTrouble } from './sysfs/instance-server.js';
export { addBoundDevice } from './host/add-device.js';
export { deleteDevice } from './host/delete-device.js';
export { waitUntilUsable } from './host/usable-device.js';
export { VdpaMonitor, type MonitorClient, type MonitorOptions } from './host/monitor.js';
export type {
  DeviceAdded,
  DeviceBound,
  DeviceChanged,
  DeviceRemoved,
  DeviceUnbound,
  EventBase,
  EventsLost,
  ManagementDeviceRemoved,
  ManagementDeviceSeen,
  VdpaEvent,
} from './host/events.js';
export { reportHost, type ControlNodes, type HostReport, type Presence } from './host/report.js';
export type { ModuleReport, ModuleState } from './host/modules.js';
export { readTree, type TreeKind, type TreeNode } from './host/tree.js';
export { readActualDevices, toStateFile, type ActualDevice } from './host/state/actual.js';
export type { DeviceEntry, StateFile } from './host/state/file.js';
export {
  PlanError,
  StateFileError,
  readDesiredState,
  type DesiredDevice,
  type DesiredState,
} from './host/state/desired.js';
export type {
  Addition,
  Adjustment,
  Change,
  Deletion,
  Difference,
  NewDevice,
  Replacement,
} from './host/state/change.js';
export { refuseInUse } from './host/state/in-use.js';
export { capacityOf } from './host/state/capacity.js';
export type { CapacityOf } from './host/state/conflicts.js';
export type { Accounts, NodeEntry, NodeOwnership } from './host/state/node.js';
export type { DesiredServer, ServerStart } from './host/state/servers.js';
export {
  planChanges,
  planPossible,
  type Plan,
  type PlanOptions,
  type Refusal,
  type ActualState,
} from './host/state/plan.js';
export { machineServers } from './vduse/daemon/machine-servers.js';
export type { InstanceStatus, StartServerOptions, VduseInstance, VduseServers } from './vduse/daemon/servers.js';
export type { ServiceStatus, StartingStatus } from './vduse/daemon/socket.js';
export type { NbdConnectionStatus } from './vduse/block/nbd/connections.js';
export type { NbdLinkState } from './vduse/block/nbd/link.js';
export type { FileAccessModes } from './vduse/block/file-access.js';
export type { ServedEntry, ServerArguments, ServerEntry } from './vduse/spec/arguments.js';
export type { BlockDeviceSpec, NetDeviceSpec, ServedDeviceSpec } from './vduse/spec/device-spec.js';
export { applyChanges, type ApplyOptions, type ApplyResult, type Failure } from './host/state/apply.js';
export { featureBit, featureBits, featureName } from './virtio/features.js';
export { deviceClasses, deviceTypeId, deviceTypeName, deviceTypeNames, type DeviceType } from './virtio/classes.js';
export { VIRTIO_ID_BLOCK, VIRTIO_ID_NET } from './virtio/ids.js';
export { formatMac, parseMac } from './virtio/mac-address.js';
