/**
 * A program whose output is that of a service; see test/cli/service-output.test.ts. Its argument selects what it does, and it
 * writes the error that ends it to descriptor 3.
 */
import { writeSync } from 'node:fs';
import { ServiceOutput } from '../../src/cli/service-output.js';

const output = new ServiceOutput((error) => {
  writeSync(3, error instanceof Error ? error.message : String(error));
});
output.begin();
switch (process.argv[2]) {
  case 'every way':
    console.log('to standard output');
    console.error('to standard error');
    output.warn('a warning\nof two lines');
    output.fail(['the end', 'of it']);
    process.emitWarning('of Node');
    break;
  case 'too much':
    for (let line = 0; line < 1000; line++) output.warn(`line ${line}`);
    output.fail(['the end']);
    break;
  case 'a long line':
    output.warn('x'.repeat(100_000));
    break;
  case 'an error':
    setImmediate(() => {
      throw new Error('unexpected');
    });
    setInterval(() => undefined, 1000);
    break;
  case 'detached':
    output.startService({ detached: true });
    output.warn('nobody reads this');
    writeSync(3, String(output.isServing));
    break;
  case 'without a reader':
    process.stdin.resume().on('end', () => {
      for (let line = 0; line < 10; line++) output.warn('x'.repeat(4000));
      console.error('and on');
      writeSync(3, 'lives');
    });
    break;
  default:
    throw new Error('unknown argument');
}
