/** Checks the table of fields against what is written by hand: schemas and man pages. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkoutRoot } from '../../../lab/cache.js';
import { keywordOf, type Field } from '../../../src/vduse/spec/field.js';
import { allFields } from '../../../src/vduse/spec/fields.js';

interface Property {
  readonly type?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly enum?: readonly (string | number)[];
  readonly anyOf?: readonly Property[];
}

type Properties = Readonly<Record<string, Property>>;

const readJson = (path: string): unknown => JSON.parse(readFileSync(join(checkoutRoot, path), 'utf8'));

const namesOf = (isMeant: (field: Field) => boolean): string[] =>
  allFields()
    .filter(([, field]) => isMeant(field))
    .map(([name]) => keywordOf(name))
    .sort();

test('the schema of servers has every field of a server, and no other', () => {
  const { properties } = readJson('schemas/vduse-server.schema.json') as { properties: Properties };
  assert.deepEqual(
    Object.keys(properties).sort(),
    namesOf(({ ofDevice = false }) => !ofDevice),
  );
});

test('the schema of servers accepts what the fields accept', () => {
  const { properties } = readJson('schemas/vduse-server.schema.json') as { properties: Properties };
  for (const [name, field] of allFields()) {
    const property = properties[keywordOf(name)];
    if (!property) continue;
    switch (field.kind) {
      case 'integer':
        assert.deepEqual(
          [property.type, property.minimum, property.maximum],
          ['integer', field.minimum, field.maximum],
          name,
        );
        break;
      case 'choice':
        assert.deepEqual(property.enum, field.choices, name);
        break;
      case 'size':
        assert.deepEqual(
          property.anyOf?.map(({ type }) => type),
          ['integer', 'string'],
          name,
        );
        break;
      case 'flag':
      case 'switch':
        assert.equal(property.type, 'boolean', name);
        break;
      case 'text':
      case 'processors':
      case 'file':
        assert.equal(property.type, 'string', name);
        break;
      case 'mac':
        assert.fail(`${name} is in no file as bytes`);
    }
  }
});

test('the schema of vduse show has every field that is shown', () => {
  const schema = readJson('schemas/output/vduse-show.schema.json') as {
    properties: { vduse: { additionalProperties: { anyOf: readonly { properties: Properties }[] } } };
  };
  const shown = namesOf(({ shown = false }) => shown);
  const withDevice = schema.properties.vduse.additionalProperties.anyOf.filter(({ properties }) => properties['type']);
  assert.equal(withDevice.length, 2);
  for (const { properties } of withDevice) {
    assert.deepEqual(
      shown.filter((keyword) => !properties[keyword]),
      [],
    );
  }
});

test('the man page of options gives the default of a field if its help does', () => {
  const page = readFileSync(join(checkoutRoot, 'man/vdpa-vduse-options.7'), 'utf8').replaceAll(/\s+/g, ' ');
  for (const [name, field] of allFields()) {
    const item = new RegExp(`\\.It Cm ${keywordOf(name)}\\b.*?(?=\\.It|\\.El)`).exec(page)?.[0];
    assert.ok(item, name);
    const value = / (\d+) by default/.exec(field.help)?.[1];
    if (value !== undefined) assert.ok(item.includes(value), `${name}: ${value} by default`);
  }
});
