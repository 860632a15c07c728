import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allChecks } from '../../src/conformance/catalogue.js';
import { checkGroups, selectChecks } from '../../src/conformance/select.js';
import { featureBit } from '../../src/virtio/features.js';
import { deviceTypeId } from '../../src/virtio/classes.js';

const names = allChecks.map(({ name }) => name);

test('every check has a name of its own, in a group, a section and a rule', () => {
  assert.deepEqual([...new Set(names)], names);
  for (const { name, clause, rule } of allChecks) {
    assert.ok(
      checkGroups.some((group) => name.startsWith(`${group}-`)),
      name,
    );
    assert.match(clause, /^[2356](\.[0-9]+)*$/, name);
    assert.match(rule, /^[A-Z].*\.$/, name);
  }
  for (const group of checkGroups)
    assert.ok(
      names.some((name) => name.startsWith(`${group}-`)),
      group,
    );
});

test('the features of a check exist for its type of device', () => {
  for (const { name, requires: { type, features = [], without = [] } = {}, covers = [] } of allChecks) {
    const deviceId = type === undefined || type === 'any known' ? undefined : deviceTypeId(type);
    for (const feature of [...features, ...without, ...covers]) {
      assert.notEqual(featureBit(feature, deviceId), undefined, `${name}: ${feature}`);
    }
  }
});

test('checks are selected by name, by the begin of their names, and hostile ones only on request', () => {
  const selected = (selection: Parameters<typeof selectChecks>[1]): string[] =>
    selectChecks(allChecks, selection).map(({ name }) => name);
  assert.deepEqual(selected({ only: 'block-flush' }), ['block-flush']);
  assert.ok(selected({ only: 'block' }).length > 10);
  assert.ok(selected({ only: 'block' }).every((name) => name.startsWith('block-')));
  assert.deepEqual(selected({ only: 'bloc' }), []);
  assert.ok(!selected({ skip: 'block' }).some((name) => name.startsWith('block-')));
  assert.ok(!selected({}).some((name) => name.startsWith('hostile-')));
  assert.deepEqual(selected({ only: 'hostile' }), []);
  assert.deepEqual(selected({ hostile: true }), names);
});
