// Compiles JSON schemas to functions that check a value, so that no schema compiler is needed at run time.
// schemas/NAME.schema.json becomes src/generated/NAME.ts, which is not in the repository.
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runInNewContext } from 'node:vm';
import { Ajv } from 'ajv';
import { default as standaloneModule } from 'ajv/dist/standalone/index.js';
import { transformSync } from 'esbuild';

/** The schemas that the program itself needs; the others are for readers of its output. */
const compiled = ['sim-state', 'sim-machine', 'state', 'vduse-server'];

/** Compiles all of them in `root`. Files that would not change are not written. */
export function compileSchemas(root) {
  const files = readdirSync(join(root, 'schemas')).filter((name) => name.endsWith('.schema.json'));
  const schemas = files.map((file) => JSON.parse(readFileSync(join(root, 'schemas', file), 'utf8'), withoutWords));
  const folder = join(root, 'src/generated');
  mkdirSync(folder, { recursive: true });
  for (const name of compiled) {
    // strict: a keyword that has no effect, or is in the wrong place, is an error.
    const ajv = new Ajv({ schemas, strict: true, inlineRefs: false, code: { source: true, esm: true } });
    const validate = ajv.getSchema(`${name}.schema.json`);
    const code = standaloneModule.default(ajv, validate);
    writeWhereChanged(join(folder, `${name}.ts`), toTypeScript(code, name));
  }
}

/** A JSON.parse() reviver that drops descriptions for humans; a property of that name is kept. */
function withoutWords(key, value) {
  return (key === 'description' || key === 'title') && typeof value === 'string' ? undefined : value;
}

function toTypeScript(code, name) {
  const functionName = /export const validate = (\w+);/.exec(code)?.[1];
  if (functionName === undefined || /\brequire\(|\bimport\b/.test(code)) {
    throw new Error(`the validator of ${name} needs parts of ajv at run time; keep its schema simpler`);
  }
  const program = code
    .replace('"use strict";', '')
    .replace('export const validate = ', 'const validate = ')
    .replace(/export default \w+;/, '')
    // Other parts of an error than the location and the message are not used.
    .replaceAll(/schemaPath:"[^"]*",keyword:"[^"]*",/g, '');
  const body = withoutSchemas(program);
  // The generated code is long, and is loaded whenever a state is read.
  const { code: short } = transformSync(body, { minify: true });
  return `// @ts-nocheck
// Made by scripts/schemas.mjs from schemas/${name}.schema.json.
${short.trim()}

/** Checks a value against the schema. Returns where and what is wrong with it, or undefined if it is valid. */
export function check(value: unknown): string | undefined {
  if (validate(value)) return undefined;
  const { instancePath, message, params } = validate.errors[0];
  const named = params.additionalProperty ?? params.allowedValues?.join(', ');
  return \`\${instancePath === '' ? 'it' : instancePath} \${message}\${named === undefined ? '' : ': ' + named}\`;
}
`;
}

/**
 * Replaces look-ups in the schemas by their result: the values of an enum, and for properties an object with their names. Then
 * the schemas are no longer used, and the bundler drops them.
 */
function withoutSchemas(program) {
  const names = [...new Set(program.match(/\bschema\d+\b/g))];
  const schemas = runInNewContext(`${program}\n({ ${names.join(', ')} })`);
  const tables = new Map();
  const body = program.replaceAll(/\b(schema\d+)((?:\.\w+|\[\d+\])+)/g, (_use, name, path) => {
    const keys = path.match(/\w+/g);
    const value = keys.reduce((inside, key) => inside[key], schemas[name]);
    if (keys.at(-1) !== 'properties') return JSON.stringify(value);
    const table = `propertiesOf${tables.size}`;
    tables.set(table, Object.fromEntries(Object.keys(value).map((key) => [key, 0])));
    return table;
  });
  return [...tables].map(([name, table]) => `const ${name} = ${JSON.stringify(table)};`).join('\n') + body;
}

function writeWhereChanged(path, text) {
  if (!existsSync(path) || readFileSync(path, 'utf8') !== text) writeFileSync(path, text);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) compileSchemas(fileURLToPath(new URL('..', import.meta.url)));
