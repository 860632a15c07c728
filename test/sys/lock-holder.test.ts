import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { lockHolder } from '../../src/sys/lock-holder.js';
import { needs } from '../support/kernel/lab/needs.js';

const folder = mkdtempSync(join(tmpdir(), 'vdpa-holder-'));
after(() => {
  rmSync(folder, { recursive: true });
});

test('the holder of a file lock is a process ID, or none if the lock is free', needs('flock'), async () => {
  const [path, other] = [join(folder, 'lock'), join(folder, 'other')];
  for (const file of [path, other]) writeFileSync(file, '');
  assert.deepEqual([lockHolder(path), lockHolder(join(folder, 'none'))], [undefined, undefined]);
  const holder = spawn('flock', ['--no-fork', path, 'sh', '-c', 'echo locked; exec sleep 600'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  assert.deepEqual([lockHolder(path), lockHolder(other)], [holder.pid, undefined]);
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  assert.equal(lockHolder(path), undefined);
});
