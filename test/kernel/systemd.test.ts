/** The units of contrib/systemd/, started and stopped by systemd. */
import '../support/kernel/lab/inside.js';
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { json, output, vdpa } from '../support/command-line.js';
import { needs, SIMULATORS, VDUSE } from '../support/kernel/lab/needs.js';
import { Systemd, SYSTEMD } from '../support/kernel/lab/systemd.js';
import { bash, diskOf, sh, until } from '../support/kernel/servers/vduse.js';

const folder = '/run/disks';
const devices = (): string[] => readdirSync('/sys/bus/vdpa/devices').sort();
const instances = (): string[] => readdirSync('/dev/vduse').filter((name) => name !== 'control');
const shown = async (name: string): Promise<Record<string, unknown> | undefined> =>
  ((await json('vduse show')) as { vduse: Record<string, Record<string, unknown>> }).vduse[name];

describe(
  'systemd, with the program and Node below /root,',
  needs(VDUSE, ...SIMULATORS, SYSTEMD, 'systemctl', 'nsenter', 'unshare', 'ps'),
  () => {
    let systemd: Systemd;

    before(async () => {
      mkdirSync(folder);
      await bash(`truncate -s 16M ${folder}/disk0.img ${folder}/kept.img`);
      const state = {
        version: 1,
        devices: [
          { name: 'kept0', mgmtdev: 'vduse', server: { path: `${folder}/kept.img`, user: 'nobody', restart: true } },
          { name: 'ram0', mgmtdev: 'vduse', server: { size: '8M' }, driver: 'vhost' },
          { name: 'tap0', mgmtdev: 'vduse', type: 'net', server: { ifname: 'vtap0' } },
          { name: 'net0', mgmtdev: 'vdpasim_net', mac: '02:00:00:00:00:01', driver: 'vhost' },
        ],
      };
      systemd = await Systemd.boot(
        {
          'vdpa/vduse/disk0.conf': `VDPA_VDUSE=type block path ${folder}/disk0.img queues 2 serial S1\n`,
          'vdpa/vduse/wrong0.conf': `VDPA_VDUSE=path ${folder}/nosuch.img\n`,
          'vdpa/state.json': JSON.stringify(state),
        },
        '/root',
      );
    });

    after(async () => {
      await systemd.end();
    });

    test('vdpa-vduse@.service serves once started, continues after a crash, and removes the instance', async () => {
      const unit = 'vdpa-vduse@disk0.service';
      await systemd.ctl('start', unit);
      assert.equal(await systemd.property(unit, 'ProtectHome'), 'read-only');
      const status = await shown('disk0');
      assert.deepEqual(
        [status?.['server'], status?.['path'], status?.['state'], status?.['attached']],
        ['vdpa', `${folder}/disk0.img`, 'idle', false],
      );
      assert.equal(await systemd.property(unit, 'StatusText'), 'Serving disk0');
      assert.equal(await systemd.property(unit, 'MainPID'), String(status?.['pid']));

      await output('dev add mgmtdev vduse name disk0');
      const disk = await diskOf('disk0');
      await sh(`mkfs.ext4 -q ${disk}`);
      const first = await systemd.property(unit, 'MainPID');
      await systemd.run('kill', '-KILL', first);
      await sh(`fsck.ext4 -fn ${disk}`);
      assert.notEqual(await systemd.property(unit, 'MainPID'), first);
      assert.equal(await systemd.property(unit, 'NRestarts'), '1');

      await output('dev del disk0');
      await until('the unit has ended', async () => (await systemd.property(unit, 'ActiveState')) === 'inactive');
      assert.equal(await systemd.property(unit, 'Result'), 'success');
      assert.deepEqual(instances(), []);

      await systemd.ctl('start', unit);
      assert.deepEqual(instances(), ['disk0']);
      await systemd.ctl('stop', unit);
      assert.equal(await systemd.property(unit, 'Result'), 'success');
      assert.deepEqual(instances(), []);
    });

    test('vdpa-vduse@.service fails if the server fails to start', async () => {
      const { status } = await systemd.run('systemctl', 'start', 'vdpa-vduse@wrong0.service');
      assert.equal(status, 1);
      assert.deepEqual(instances(), []);
      await systemd.ctl('stop', 'vdpa-vduse@wrong0.service');
    });

    test('vdpa-restore.service makes all devices with their servers, which outlive the unit', async () => {
      const unit = 'vdpa-restore.service';
      await systemd.ctl('start', unit);
      assert.deepEqual(devices(), ['kept0', 'net0', 'ram0', 'tap0']);
      await sh(`mkfs.ext4 -q ${await diskOf('kept0')}`);
      assert.ok(existsSync('/sys/class/net/vtap0'));
      const details = await output('-d dev show');
      assert.match(details, /ram0: .*\n {2}driver vhost_vdpa /);
      assert.match(details, /net0: .*\n {2}driver vhost_vdpa /);

      await output('dev del net0');
      await output('dev del ram0');
      await systemd.ctl('reload', unit);
      assert.deepEqual(devices(), ['kept0', 'net0', 'ram0', 'tap0']);
      const before = await output('save');
      await systemd.ctl('reload', unit);
      await systemd.ctl('stop', unit);
      assert.equal(await output('save'), before);
      assert.equal((await shown('kept0'))?.['state'], 'running');
      await systemd.ctl('start', unit);
      assert.equal(await output('save'), before);
      writeFileSync('/run/empty.json', '{"version": 1, "devices": []}');
      const { status, stderr } = await vdpa('apply /run/empty.json prune force');
      assert.equal(status, 0, stderr);
      assert.deepEqual([devices(), instances()], [[], []]);
    });
  },
);

test(
  'units of a program outside home folders hide home folders',
  needs(VDUSE, SYSTEMD, 'systemctl', 'nsenter', 'unshare', 'ps'),
  async () => {
    const systemd = await Systemd.boot({ 'vdpa/vduse/other0.conf': 'VDPA_VDUSE=size 8M\n' }, '/opt');
    try {
      const unit = 'vdpa-vduse@other0.service';
      await systemd.ctl('start', unit);
      assert.equal(await systemd.property(unit, 'ProtectHome'), 'yes');
      assert.equal((await shown('other0'))?.['state'], 'idle');
      await systemd.ctl('stop', unit);
      assert.ok(!instances().includes('other0'));
    } finally {
      await systemd.end();
    }
  },
);
