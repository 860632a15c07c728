/** contrib/kubernetes/vdpa.yaml. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { checkoutRoot } from '../../lab/cache.js';

/** An object of Kubernetes. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly data?: Readonly<Record<string, string>>;
}

/** All objects of the file, in their order. @throws AssertionError if it is not YAML */
export function readManifests(): Manifest[] {
  const text = readFileSync(join(checkoutRoot, 'contrib/kubernetes/vdpa.yaml'), 'utf8');
  return parseAllDocuments(text).map((document) => {
    assert.deepEqual([...document.errors, ...document.warnings], []);
    return document.toJS() as Manifest;
  });
}

/** The text of a file that a ConfigMap has. @throws AssertionError if there is none */
export function readMounted(configMap: string, file: string): string {
  const found = readManifests().find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === configMap);
  const text = found?.data?.[file];
  assert.ok(text !== undefined, `${configMap} has no ${file}`);
  return text;
}
