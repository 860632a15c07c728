/** All checks, in the order in which they run. */
import type { Check } from './check.js';
import { blockIoChecks } from './checks/block/io.js';
import { blockRangeChecks } from './checks/block/ranges.js';
import { configChecks } from './checks/config.js';
import { featureChecks } from './checks/features.js';
import { hostileChecks } from './checks/hostile.js';
import { memoryChecks } from './checks/memory.js';
import { netControlChecks } from './checks/net/control.js';
import { netOffloadChecks } from './checks/net/offloads.js';
import { netChecks } from './checks/net/receive.js';
import { netSegmentChecks } from './checks/net/segments.js';
import { allNotificationChecks } from './checks/notifications.js';
import { queueChecks } from './checks/queues.js';
import { allRingChecks } from './checks/rings.js';
import { statusChecks } from './checks/status.js';
import { suspendChecks } from './checks/suspend.js';

export const allChecks: readonly Check[] = [
  ...statusChecks,
  ...featureChecks,
  ...configChecks,
  ...queueChecks,
  ...allRingChecks,
  ...allNotificationChecks,
  ...memoryChecks,
  ...suspendChecks,
  ...blockIoChecks,
  ...blockRangeChecks,
  ...netChecks,
  ...netOffloadChecks,
  ...netSegmentChecks,
  ...netControlChecks,
  ...hostileChecks,
];
