/** Checks what the commands print on the simulation against the schemas. test/kernel/ does so on a real kernel. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bareMachine } from '../../src/sim/state/model.js';
import { checkDocument, checkOutput, commandWords, schemaNames, schemaOf } from '../support/output-schemas.js';
import { TestMachine } from '../support/test-machine.js';

test('every command has a schema, and every schema a command', () => {
  const expected = commandWords().map(schemaOf);
  assert.deepEqual(
    expected.filter((name) => !schemaNames.includes(name)),
    [],
  );
  const others = ['common', 'dev-stats-watch'];
  assert.deepEqual(
    schemaNames.filter((name) => !expected.includes(name) && !others.includes(name)),
    [],
  );
});

const hardware = {
  bus: 'pci',
  name: '0000:03:00.2',
  driver: 'hardware',
  classes: [1, 2, 26],
  max_vqs: 0xffff_ffff,
  features: '0xffffffffffffffff',
  config_attributes: [],
  vendor_id: 0xffff_ffff,
  min_vq_size: 2,
  max_vq_size: 0xffff,
  max_devices: 1,
  mac: '02:00:00:00:00:01',
  mtu: 1500,
  capacity: 0,
} as const;

test('what the commands print on the simulation', async () => {
  const machine = new TestMachine({ mgmtdev: [...bareMachine.mgmtdev, hardware] });
  const check = async (command: string, words = ''): Promise<void> => {
    const { stdout } = await machine.vdpa(`-j ${command}${words}`, { env: { VDPA_SIM: '1' } });
    checkOutput(schemaOf(command), stdout);
  };
  await check('mgmtdev show');
  for (const name of ['vdpasim_net', 'pci/0000:03:00.2', 'nosuch', 'a/b/c']) await check('mgmtdev show', ` ${name}`);
  for (const line of [' mgmtdev vdpasim_net name foo0', ' mgmtdev vdpasim_blk name blk0', ' mgmtdev vdpasim_net', '']) {
    await check('dev add', line);
  }
  for (const command of ['dev show', 'dev config show', 'dev features show', 'dev stats show']) {
    for (const words of ['', ' foo0', ' blk0', ' nosuch', ' foo0 junk']) await check(command, words);
  }
  for (const words of [' foo0 qidx 0', ' foo0 qidx 2', ' foo0 qidx 9', ' foo0', '', ' blk0 qidx 0']) {
    await check('dev vstats show', words);
  }
  await check('tree');
  await check('dev set', ' name foo0 mac 02:00:00:00:00:02');
  await check('dev del', ' foo0');
  await check('host show');
  for (const line of ['-j', '-j help', '-j junk', '-j dev junk', '-j dev vstats']) {
    checkOutput('nothing', (await machine.vdpa(line)).stdout);
  }
});

test('an invalid document is rejected', () => {
  const device = { type: 'network', mgmtdev: 'vdpasim_net', max_vqs: 3 };
  checkDocument('dev-show', { dev: { foo0: device } });
  for (const wrong of [
    { ...device, type: 'fs' },
    { ...device, max_vqs: -1 },
    { ...device, max_vqs: '3' },
    { ...device, more: 1 },
    { type: 'network' },
  ]) {
    assert.throws(() => {
      checkDocument('dev-show', { dev: { foo0: wrong } });
    });
  }
  for (const [schema, wrong] of [
    ['nothing', { dev: {} }],
    ['dev-config-show', { config: { foo0: { mac: '00:11:zz' } } }],
    ['dev-config-show', { config: { foo0: { negotiated_features: ['mac'] } } }],
    ['dev-features-show', { features: { foo0: { left_out_features: [] } } }],
    ['dev-vstats-show', { vstats: { foo0: { queue_type: 'rx', packets: '1' } } }],
    ['dev-stats-show', { stats: { foo0: [{ queue_type: 'rx' }] } }],
    ['mgmtdev-show', { mgmtdev: { vduse: { dev_features: [64] } } }],
    ['monitor', { dev: 'foo0', event: 'bound' }],
    ['host-show', { host: { vduse: { present: false } } }],
    ['tree', { tree: [{ kind: 'dev', name: 'foo0' }] }],
  ] as const) {
    assert.throws(() => {
      checkDocument(schema, wrong);
    }, schema);
  }
});
