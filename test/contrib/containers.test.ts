/** The examples for containers, as the tools of their users check them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { validate } from 'dockerfile-utils';
import { DaemonSet, type IDaemonSet } from 'kubernetes-models/apps/v1';
import { ConfigMap, Namespace } from 'kubernetes-models/v1';
import { checkoutRoot } from '../../lab/cache.js';
import { readDesiredState } from '../../src/host/state/desired.js';
import { readManifests, readMounted, type Manifest } from '../support/kubernetes-example.js';

test('the manifests are what the API of Kubernetes accepts, and name only what they define', () => {
  const manifests = readManifests();
  for (const manifest of manifests) model(manifest).validate();
  assert.deepEqual(
    manifests.map(({ kind }) => kind),
    ['Namespace', 'ConfigMap', 'ConfigMap', 'DaemonSet'],
  );
  const [namespace, ...others] = manifests;
  for (const { metadata } of others) assert.equal(metadata.namespace, namespace?.metadata.name);
  const { spec } = (manifests[3] as IDaemonSet | undefined)?.spec?.template ?? {};
  const names = others.map(({ metadata }) => metadata.name);
  for (const { configMap } of spec?.volumes ?? []) {
    if (configMap) assert.ok(names.includes(configMap.name ?? ''), configMap.name);
  }
  const volumes = (spec?.volumes ?? []).map(({ name }) => name).sort();
  const mounts = (spec?.containers[0]?.volumeMounts ?? []).map(({ name }) => name).sort();
  assert.deepEqual(mounts, volumes);
});

test('a manifest with a wrong field is rejected', () => {
  const [, , , daemonSet] = readManifests();
  assert.ok(daemonSet);
  assert.throws(() => {
    model({ ...daemonSet, spec: { ...(daemonSet as IDaemonSet).spec, selector: 'vdpa' } } as Manifest).validate();
  }, /selector/);
});

function model(manifest: Manifest): { validate: () => void } {
  switch (manifest.kind) {
    case 'Namespace':
      return new Namespace(manifest);
    case 'ConfigMap':
      return new ConfigMap(manifest);
    case 'DaemonSet':
      return new DaemonSet(manifest);
    default:
      throw new Error(`no check for ${manifest.kind}`);
  }
}

test('the state in the manifests is one that "vdpa apply" accepts', () => {
  const { devices } = readDesiredState(readMounted('vdpa-state', 'state.json'), 'state.json');
  assert.deepEqual(
    devices.map(({ name }) => name),
    ['disk0'],
  );
});

test('the script in the manifests is one for any POSIX shell', () => {
  const { status, stderr } = spawnSync('sh', ['-n'], {
    input: readMounted('vdpa-apply', 'apply.sh'),
    encoding: 'utf8',
  });
  assert.deepEqual([status, stderr], [0, '']);
});

test('the Dockerfile has no error, and does not run as root', () => {
  const text = readFileSync(join(checkoutRoot, 'contrib/container/Dockerfile'), 'utf8');
  assert.deepEqual(validate(text), []);
  assert.match(text, /^USER [1-9]\d*:[1-9]\d*$/m);
  assert.notDeepEqual(validate('FROM node:24-slim\nCOPPY a b\n'), []);
});
