/** The files in the single executable (node:sea), which only it has. */

/** The bytes of a file in the executable, as they are mapped: not to be written to. @throws Error if there is none */
export function assetBytes(name: string): Uint8Array {
  const { getRawAsset } = process.getBuiltinModule('node:sea');
  const asset = getRawAsset(name);
  return typeof asset === 'string' ? Buffer.from(asset) : new Uint8Array(asset);
}

/** The UTF-8 text of a file in the executable. @throws Error if there is none */
export function assetText(name: string): string {
  return process.getBuiltinModule('node:sea').getAsset(name, 'utf8');
}
