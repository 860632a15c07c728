import { featureBits, featureName } from '../virtio/features.js';
import type { DeviceConfig } from '../vdpa/model.js';
import type { Printer } from './printer.js';

/** Prints a feature word as a list of names; a bit without a name is `bit_N` in text and its number in JSON. */
export function renderFeatures(printer: Printer, key: string, features: bigint, deviceId: number | undefined): void {
  printer.openList(key);
  for (const bit of featureBits(features)) {
    const name = featureName(bit, deviceId);
    if (name === undefined) printer.item(bit, `bit_${bit}`);
    else printer.item(name);
  }
  printer.closeList();
}

/** Prints the features that a device offers, those that its driver accepted, and those that it declined. */
export function renderDeviceFeatures(printer: Printer, config: DeviceConfig): void {
  const { deviceFeatures, negotiatedFeatures, deviceId } = config;
  printer.openRecord(config.name);
  if (deviceFeatures !== undefined) renderFeatures(printer, 'device_features', deviceFeatures, deviceId);
  if (negotiatedFeatures !== undefined) renderFeatures(printer, 'negotiated_features', negotiatedFeatures, deviceId);
  if (deviceFeatures !== undefined && negotiatedFeatures !== undefined) {
    renderFeatures(printer, 'left_out_features', deviceFeatures & ~negotiatedFeatures, deviceId);
  }
  printer.closeRecord();
}
