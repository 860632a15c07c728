import { Errno } from '../../sys/errno.js';
import { SystemError } from '../../sys/error.js';
import type { Check } from '../check.js';
import { CheckFailure, expectBytes } from '../finding.js';

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
      const before = vhost.config(0, size);
      context.prepare({ features: [] });
      expectBytes('read the configuration before and after FEATURES_OK', vhost.config(0, size), before);
      context.start();
      expectBytes('read the configuration before and after DRIVER_OK', vhost.config(0, size), before);
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
