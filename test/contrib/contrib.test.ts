import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

/** This file is in build/test/contrib. */
const root = fileURLToPath(new URL('../../..', import.meta.url));
const isMissing = (program: string): false | string =>
  spawnSync(program, ['--version']).error ? `${program} is not installed` : false;

let folder: string;

before(() => {
  folder = mkdtempSync('/tmp/vdpa-contrib-');
});

after(() => {
  rmSync(folder, { recursive: true });
});

test('systemd-analyze accepts the units that are written', { skip: isMissing('systemd-analyze') }, () => {
  const { status, stdout, stderr } = install(folder);
  assert.equal(status, 0, stderr);
  const files = ['vdpa-restore.service', 'vdpa-vduse@.service'].map((unit) => join(folder, unit));
  assert.deepEqual(stdout.split('\n').slice(0, 2), files);
  for (const file of files) {
    const text = readFileSync(file, 'utf8');
    assert.ok(text.includes(`\nExecStart=${process.execPath} ${join(root, 'bin/vdpa.js')} `), text);
    assert.doesNotMatch(text, /@[A-Z_]+@/);
  }
  // It checks that the programs and manual pages exist.
  copyFileSync(join(folder, 'vdpa-vduse@.service'), join(folder, 'vdpa-vduse@disk0.service'));
  const units = ['vdpa-restore.service', 'vdpa-vduse@disk0.service'].map((unit) => join(folder, unit));
  const verified = spawnSync('systemd-analyze', ['verify', '--man=no', ...units], { encoding: 'utf8' });
  assert.deepEqual([verified.status, verified.stdout, verified.stderr], [0, '', '']);
});

test('units that cannot be written leave nothing behind, and are reported', () => {
  assert.match(install(join(folder, 'nosuch')).stderr, /failed to write .*vdpa-restore\.service: ENOENT\n$/);
  assert.match(install('-h').stderr, /^Usage: install\.mjs \[FOLDER\]\n$/);
  assert.equal(install(join(folder, 'nosuch')).status, 1);
});

test('units are not written for a program that a reboot deletes', () => {
  const copy = join(folder, 'copy');
  cpSync(join(root, 'contrib/systemd'), join(copy, 'contrib/systemd'), { recursive: true });
  const script = join(copy, 'contrib/systemd/install.mjs');
  assert.match(install(folder, script).stderr, /bin\/vdpa\.js is not built: run "npm ci" first\n$/);
  mkdirSync(join(copy, 'bin'));
  writeFileSync(join(copy, 'bin/vdpa.js'), '');
  assert.match(install(folder, script).stderr, /^\/.*vdpa\.js does not survive a reboot there\n$/);
});

/** Runs the script that writes the units. */
function install(target: string, script = join(root, 'contrib/systemd/install.mjs')) {
  return spawnSync(process.execPath, [script, target], { encoding: 'utf8' });
}

test(
  'Ansible makes simulated devices, and a second run changes nothing',
  { skip: isMissing('ansible-playbook') },
  () => {
    const play = (devices: object[], ...options: string[]): string => {
      const host = {
        ansible_connection: 'local',
        ansible_python_interpreter: 'auto_silent',
        vdpa_command: [process.execPath, join(root, 'bin/vdpa.js'), '--sim'],
        vdpa_state_file: join(folder, 'state.json'),
        vdpa_prune: true,
        vdpa_devices: devices,
      };
      const inventory = join(folder, 'inventory.json');
      writeFileSync(inventory, JSON.stringify({ vdpa: { hosts: { machine: host } } }));
      const { status, stdout, stderr } = spawnSync(
        'ansible-playbook',
        ['-i', inventory, join(root, 'contrib/ansible/vdpa.yml'), ...options],
        {
          encoding: 'utf8',
          env: {
            ...process.env,
            HOME: folder,
            LC_ALL: 'C.UTF-8',
            ANSIBLE_NOCOLOR: '1',
            ANSIBLE_LOCALHOST_WARNING: '0',
            VDPA_SIM_STATE: join(folder, 'sim.json'),
          },
        },
      );
      assert.equal(status, 0, stdout + stderr);
      return stdout;
    };
    const devices = [
      { name: 'net0', mgmtdev: 'vdpasim_net', mac: '02:00:00:00:00:01', mtu: 9000 },
      { name: 'blk0', mgmtdev: 'vdpasim_blk' },
    ];
    // Check mode changes nothing, so the next run still has to.
    assert.match(play(devices, '--check'), /Plan the changes\] \*+\nchanged: /);
    assert.match(play(devices), /Apply the changes\] \*+\nchanged: /);
    assert.match(play(devices), /machine +: ok=3 +changed=0 /);
    assert.match(play(devices.slice(1)), /Apply the changes\] \*+\nchanged: /);
    assert.match(play(devices.slice(1)), /changed=0 /);
  },
);
