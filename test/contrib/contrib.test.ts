import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

/** This file is in build/test/contrib. */
const root = fileURLToPath(new URL('../../..', import.meta.url));
const isMissing = (program: string): false | string =>
  spawnSync(program, ['--version']).error ? `${program} is not installed` : false;

let folder: string;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'vdpa-contrib-'));
});

after(() => {
  rmSync(folder, { recursive: true });
});

test('systemd finds nothing to say about the units', { skip: isMissing('systemd-analyze') }, () => {
  const program = join(folder, 'vdpa');
  writeFileSync(program, '#!/bin/sh\n');
  chmodSync(program, 0o755);
  const units = readdirSync(join(root, 'contrib/systemd'));
  assert.equal(units.length, 2);
  const files = units.map((unit) => {
    const text = readFileSync(join(root, 'contrib/systemd', unit), 'utf8');
    assert.match(text, /^ExecStart=\/usr\/local\/bin\/vdpa /m);
    // It looks whether the programs are there, and pages of the manual.
    const file = join(folder, unit.replace('@', '@disk0'));
    writeFileSync(file, text.replaceAll('/usr/local/bin/vdpa', program));
    return file;
  });
  const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', ...files], {
    encoding: 'utf8',
  });
  assert.deepEqual([status, stdout, stderr], [0, '', '']);
});

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
    // What is only shown is changed by the next run still.
    assert.match(play(devices, '--check'), /See what there is to change\] \*+\nchanged: /);
    assert.match(play(devices), /Make the devices what they should be\] \*+\nchanged: /);
    assert.match(play(devices), /machine +: ok=3 +changed=0 /);
    assert.match(play(devices.slice(1)), /Make the devices what they should be\] \*+\nchanged: /);
    assert.match(play(devices.slice(1)), /changed=0 /);
  },
);
