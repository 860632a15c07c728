import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { whyUnsupported } from '../../src/sys/platform.js';
import { program, programEnv } from '../support/simulating-program.js';

const koffi = new URL('../../src/sys/koffi.js', import.meta.url).href;

/** Runs Node as if it were built for another architecture. */
function on(arch: string, argv: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  const pretend = `Object.defineProperty(process, 'arch', { value: ${JSON.stringify(arch)} })`;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', `data:text/javascript,${encodeURIComponent(pretend)}`, ...argv],
    { encoding: 'utf8', env: { ...programEnv, VDPA_CODE_CACHE: '0' } },
  );
  return { status, stdout, stderr };
}

test('the program supports this machine', () => {
  assert.equal(whyUnsupported(), undefined);
  for (const arch of ['x64', 'arm64', 'riscv64', 'loong64', 'ppc64']) {
    assert.equal(whyUnsupported({ arch, littleEndian: true }), undefined);
  }
});

test('a big-endian machine is rejected', () => {
  for (const arch of ['s390x', 'ppc64']) {
    const reason = `vdpa does not support big-endian ${arch}: it requires a little-endian machine`;
    assert.equal(whyUnsupported({ arch, littleEndian: false }), reason);
  }
});

for (const arch of ['ia32', 'arm', 'mips', 'mipsel', 'ppc', 's390']) {
  test(`${arch}: the program fails with one line, the library with an error`, () => {
    const reason = `vdpa does not support ${arch}: it requires a 64-bit Node and kernel`;
    for (const line of [
      ['dev', 'show'],
      ['--sim', 'dev', 'show'],
      ['vduse', 'show'],
    ]) {
      assert.deepEqual(on(arch, [program, ...line]), { status: 1, stdout: '', stderr: `${reason}\n` });
    }
    const { status, stderr } = on(arch, ['-e', `import(${JSON.stringify(koffi)})`]);
    assert.equal(status, 1);
    assert.ok(stderr.includes(`UnsupportedMachineError: ${reason}`), stderr);
  });
}
