/** Commands that drive a device, for one that is not there: nothing is bound, and the error says why. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Io } from '../../src/cli/io.js';
import { parseOptions } from '../../src/cli/options.js';
import { Session } from '../../src/cli/session.js';
import DevBench from '../../src/commands/dev/bench.js';
import DevTest from '../../src/commands/dev/test.js';
import { SystemError } from '../../src/sys/error.js';

const NOBODY = 'nosuchdevice0';
const io: Io = { env: {}, stdout: () => assert.fail('nothing is printed'), stderr: () => undefined };

for (const [name, command, words] of [
  ['dev bench', new DevBench(), 'rw randrw bs 64K depth 4 queues 2 time 1 destructive'],
  ['dev bench -o svg', new DevBench(), ''],
  ['dev bench', new DevBench(), 'against other0'],
  ['dev test', new DevTest(), 'only status'],
  ['dev test', new DevTest(), 'skip block destructive'],
] as const) {
  test(`${name} ${words}`, async () => {
    const line = parseOptions(name.split(' '), {});
    assert.ok(line.kind === 'command');
    const session = new Session(line.options, io);
    const args = [NOBODY, ...words.split(' ').filter((word) => word !== '')];
    await assert.rejects(command.execute(session, args), (error) => {
      assert.ok(error instanceof SystemError, String(error));
      assert.equal(error.code, 'ENODEV');
      assert.match(error.message, new RegExp(`^bind ${NOBODY} to vhost_vdpa: `));
      return true;
    });
    await session.close();
  });
}
