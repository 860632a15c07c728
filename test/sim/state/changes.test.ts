import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { SimulationError } from '../../../src/sim/error.js';
import { describeChange } from '../../../src/sim/state/changes.js';
import { FileStore } from '../../../src/sim/state/file-store.js';
import { parseState } from '../../../src/sim/state/parser.js';
import { bootState, bareMachine, type DeviceState, type SimState } from '../../../src/sim/state/model.js';

const folder = mkdtempSync(join(tmpdir(), 'vdpa-changes-'));
after(() => {
  rmSync(folder, { recursive: true });
});

const device = (name: string): DeviceState => ({ name, mgmtdev: 'vdpasim_net' });
const start = (...names: string[]): SimState => ({ ...bootState(bareMachine), devices: names.map(device) });

test('a change of a state is written as a line, from which the state is restored', () => {
  const indexes = fc.array(fc.nat({ max: 12 }), { maxLength: 8 });
  fc.assert(
    fc.property(indexes, indexes, indexes, (kept, added, hits) => {
      const before = start('a', 'b', 'c', 'd', 'e');
      const devices = before.devices.filter((_, index) => !kept.includes(index));
      for (const [index, place] of added.entries()) devices.splice(place, 0, device(`new${index}`));
      const state = { ...before, devices, fault_hits: hits };
      const line = describeChange(before, state);
      assert.deepEqual(parseState(`${JSON.stringify(before)}\n${line ?? ''}`, 'path'), state);
      assert.equal(line === undefined, devices.length === 5 && added.length === 0 && hits.length === 0);
    }),
  );
});

test('only changes are written', () => {
  const before = start('a', 'b', 'c');
  assert.equal(describeChange(before, { ...before, devices: before.devices.slice(1) }), '+{"devices":[0,1]}\n');
  const changed = { ...before, devices: before.devices.with(1, { ...device('b'), mtu: 9000 }) };
  const entry = '{"name":"b","mgmtdev":"vdpasim_net","mtu":9000}';
  assert.equal(describeChange(before, changed), `+{"devices":[1,1,${entry}]}\n`);
  assert.equal(describeChange(before, { ...before, devices: [...before.devices] }), undefined);
});

test('an incomplete last change is ignored', () => {
  const before = start('a');
  const line = describeChange(before, start()) ?? '';
  for (let length = 0; length < line.length; length++) {
    assert.deepEqual(parseState(`${JSON.stringify(before)}\n${line.slice(0, length)}`, 'path'), before);
  }
});

test('changes that do not fit the state are damage', () => {
  const wrong = [
    '{}]',
    'null',
    '{"devices":[2,0]}',
    '{"devices":[0,2]}',
    '{"devices":[-1,0]}',
    '{"devices":[0.5,0]}',
    '{"devices":[0]}',
    '{"devices":{}}',
    '{"machine":[0,0]}',
    '{"__proto__":[0,0]}',
    '{"devices":[0,0,{"name":"b","mgmtdev":"none"}]}',
    '{"devices":[0,0,{"name":"a","mgmtdev":"vdpasim_net"}]}',
    '{"devices":[0,0,7]}',
  ];
  for (const change of wrong) {
    const text = `${JSON.stringify(start('a'))}\n+${change}\n`;
    assert.throws(() => parseState(text, 'path'), SimulationError, change);
  }
  assert.throws(() => parseState(`${JSON.stringify(start('a'))}\n+{"devices":[0,1]}\nx\n`, 'path'), SimulationError);
});

test('a store appends its changes to the file, and leaves a single state when it is closed', async () => {
  const path = join(folder, 'store.json');
  const store = new FileStore(path);
  await store.prepare();
  for (const name of ['a', 'b', 'c']) store.update((state) => state.devices.push(device(name)));
  const between = readFileSync(path, 'utf8');
  assert.equal(between.match(/^\+/gm)?.length, 2);
  const other = new FileStore(path);
  assert.deepEqual(other.read().devices, ['a', 'b', 'c'].map(device));
  await other.prepare();
  other.update((state) => state.devices.pop());
  store.update((state) => state.devices.push(device('d')));
  store.update((state) => state.devices.push(device('e')));
  store.close();
  other.close();
  const state = JSON.parse(readFileSync(path, 'utf8')) as SimState;
  assert.deepEqual(state.devices, ['a', 'b', 'd', 'e'].map(device));
});

test('a discarded change leaves the file unchanged', async () => {
  const path = join(folder, 'thrown.json');
  const store = new FileStore(path);
  await store.prepare();
  for (const name of ['a', 'b']) store.update((state) => state.devices.push(device(name)));
  const before = readFileSync(path, 'utf8');
  const failing = (state: SimState): never => {
    state.devices.pop();
    throw new Error('no');
  };
  assert.throws(() => store.update(failing), /^Error: no$/);
  store.update(() => undefined);
  assert.equal(readFileSync(path, 'utf8'), before);
  store.close();
});

const program = fileURLToPath(new URL('../../../../bin/vdpa.js', import.meta.url));

/** Starts a batch on the simulated machine of this state file. */
function startBatch(path: string, file: string) {
  const args = [program, '--sim', '-f', '-j', '-b', file];
  return spawn(process.execPath, args, { env: { VDPA_SIM_STATE: path }, stdio: ['ignore', 'pipe', 'ignore'] });
}

test('whenever a batch is killed, every change that it has acknowledged is in the file, which is intact', async () => {
  const batch = join(folder, 'adds');
  writeFileSync(batch, Array.from({ length: 5000 }, (_, n) => `dev add name k${n} mgmtdev vdpasim_net\n`).join(''));
  for (const answersWanted of [1, 2, 3, 50, 400]) {
    const path = join(folder, `killed-${answersWanted}.json`);
    const child = startBatch(path, batch);
    let answers = 0;
    for await (const line of createInterface(child.stdout)) {
      assert.equal(line, '{}');
      if (++answers === answersWanted) child.kill('SIGKILL');
    }
    const { devices } = new FileStore(path).read();
    assert.ok(answers >= answersWanted && devices.length >= answers, `${devices.length} of ${answers}`);
    assert.deepEqual(
      devices.map(({ name }) => name),
      Array.from(devices, (_, n) => `k${n}`),
    );
  }
});

test('concurrent batches lose nothing', async () => {
  const path = join(folder, 'at-once.json');
  const names = ['p', 'q', 'r'];
  const children = names.map((name) => {
    const lines = Array.from({ length: 100 }, (_, n) => `dev add name ${name}${n} mgmtdev vdpasim_net\n`);
    writeFileSync(join(folder, name), [...lines, ...lines.slice(50).map((_, n) => `dev del ${name}${n}\n`)].join(''));
    const child = startBatch(path, join(folder, name));
    child.stdout.resume();
    return child;
  });
  const ends = await Promise.all(children.map(async (child) => ((await once(child, 'exit')) as [number | null])[0]));
  assert.deepEqual(ends, [0, 0, 0]);
  const { devices } = JSON.parse(readFileSync(path, 'utf8')) as SimState;
  const expected = names.flatMap((name) => Array.from({ length: 50 }, (_, n) => `${name}${n + 50}`));
  assert.deepEqual(devices.map(({ name }) => name).sort(), expected.sort());
});
