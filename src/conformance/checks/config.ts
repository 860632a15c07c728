import { Errno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';
import { blockConfigOffset } from '../../virtio/config-space.js';
import type { Check } from '../check.js';
import type { CheckContext } from '../context.js';
import { CheckFailure, expectBytes } from '../finding.js';

/** A device sets the field writeback of a disk by whether the driver accepts FLUSH: 5.2.6.2. */
function withoutWriteback({ target: { type } }: CheckContext, config: Uint8Array): Uint8Array {
  if (type === 'block') config[blockConfigOffset.writeback] = 0;
  return config;
}

/** The configuration space. */
export const configChecks: readonly Check[] = [
  {
    name: 'config-before-features',
    clause: '2.5.2',
    rule: 'The configuration can be read before FEATURES_OK, and is the same afterwards.',
    run: (context) => {
      const { vhost } = context;
      const size = vhost.configSize();
      if (size === 0) return;
      const read = (): Uint8Array => withoutWriteback(context, vhost.config(0, size));
      const before = read();
      context.prepare({ features: [] });
      expectBytes('read the configuration before and after FEATURES_OK', read(), before);
      context.start();
      expectBytes('read the configuration before and after DRIVER_OK', read(), before);
    },
  },
  {
    name: 'config-pieces',
    clause: '2.5',
    rule: 'A field has the same value, in whatever pieces the configuration is read.',
    run: ({ vhost, target }) => {
      const { config } = target;
      const bytes = Uint8Array.from(config, (_, offset) => vhost.config(offset, 1)[0] ?? 0);
      expectBytes('read the configuration byte by byte', bytes, config);
      for (const step of [2, 4, 8]) {
        for (let offset = 0; offset + step <= config.length; offset += step) {
          const part = vhost.config(offset, step);
          expectBytes(
            `read ${step} bytes of the configuration at ${offset}`,
            part,
            config.subarray(offset, offset + step),
          );
        }
      }
    },
  },
  {
    name: 'config-end',
    clause: '2.5',
    rule: 'The configuration ends where the device says.',
    run: ({ vhost, target }) => {
      const { length } = target.config;
      const sent = `read 1 byte of the configuration at ${length}`;
      try {
        vhost.config(length, 1);
      } catch (error) {
        if (error instanceof SystemError && (error.errno === Errno.E2BIG || error.errno === Errno.EINVAL)) return;
        throw error;
      }
      throw new CheckFailure({ sent, came: 'success', expected: 'E2BIG' });
    },
  },
];
