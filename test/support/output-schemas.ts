import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020, type AnySchema } from 'ajv/dist/2020.js';
import { checkoutRoot } from '../../lab/cache.js';
import type { Branch } from '../../src/cli/branch.js';
import { tree } from '../../src/command-tree.js';

const folder = join(checkoutRoot, 'schemas/output');
const ending = '.schema.json';

const ajv = new Ajv2020({ strict: true, strictTypes: false, allErrors: true });
const names: string[] = [];
for (const file of readdirSync(folder)) {
  ajv.addSchema(JSON.parse(readFileSync(join(folder, file), 'utf8')) as AnySchema);
  names.push(file.slice(0, -ending.length));
}

/** The schemas of output, by name. */
export const schemaNames: readonly string[] = names;

/** Checks a document against a schema. @throws AssertionError that says what is wrong */
export function checkDocument(schema: string, document: unknown): void {
  const validate = ajv.getSchema(schema + ending);
  assert.ok(validate, `there is no schema ${schema}`);
  const isValid = validate(document);
  assert.ok(isValid, `${schema}: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(document)}`);
}

/** Checks the JSON that a command line printed. @throws AssertionError; SyntaxError if it is not a single document */
export function checkOutput(schema: string, stdout: string): void {
  checkDocument(schema, JSON.parse(stdout));
}

/** The words of every command, `dev config show`. */
export function commandWords(branch: Branch = tree, words: readonly string[] = []): string[] {
  return branch.children.flatMap((child) => {
    const path = [...words, child.names[0]];
    return 'children' in child ? commandWords(child, path) : [path.join(' ')];
  });
}

/** Commands that print `{}`. */
const silent = [
  'dev add',
  'dev del',
  'dev set',
  'dev bind',
  'dev unbind',
  'sim export',
  'self export',
  'sim hold',
  'sim init',
  'sim reset',
  'sim run',
  'vduse serve',
  'vduse del',
];

/** The schema of what a command prints. */
export function schemaOf(command: string): string {
  return silent.includes(command) ? 'nothing' : command.replaceAll(' ', '-');
}
