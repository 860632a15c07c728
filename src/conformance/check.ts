/** What a check of a device is. */
import type { DeviceType } from '../virtio/classes.js';
import type { CheckContext } from './context.js';

/** What a device must have for a check to apply. */
export interface Requirements {
  /** Its type; a check that makes requests of any kind needs a type for which there are some. */
  readonly type?: DeviceType | 'any known';
  /** Features that it must offer, by name. The check covers them. */
  readonly features?: readonly string[];
  /** Features that it must not offer. The check covers them, too. */
  readonly without?: readonly string[];
  /** Backend features of its node, VHOST_BACKEND_F_*, by bit and name. */
  readonly backend?: readonly BackendFeature[];
}

/** A backend feature: its bit, and its name for people. */
export interface BackendFeature {
  readonly bit: bigint;
  readonly name: string;
}

/** A check of one rule of the specification. */
export interface Check {
  /** As on the command line: `ring-used-length`. */
  readonly name: string;
  /** The section of the virtio specification, version 1.3, that has the rule: `2.7.8.2`. */
  readonly clause: string;
  /** The rule, as a whole sentence. */
  readonly rule: string;
  readonly requires?: Requirements;
  /** Features that it covers besides the required ones, by name. */
  readonly covers?: readonly string[];
  /** It does what only a broken driver does: it runs only if asked for. */
  readonly isHostile?: boolean;
  /**
   * Tests the device, which was just reset.
   * @throws CheckFailure if the device does not keep the rule; DriverError, UsedRingError or SystemError if it fails on
   * the way
   */
  readonly run: (context: CheckContext) => void;
}
