import '../lab/inside.js';
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bash, mountPoint } from './vduse.js';

/** Requests of a file system in user space, from linux/fuse.h. */
export const FUSE_LOOKUP = 1;
export const FUSE_GETATTR = 3;
export const FUSE_READ = 15;

export type ToHangingFile = 'hang' | 'go on';
export type FromHangingFile = { readonly mounted: true } | { readonly held: number };

/** A file in a file system that stops answering when it is told to, as a network file system does; hanging-file-server.ts. */
export class HangingFile {
  readonly path: string;
  readonly #child: ChildProcess;
  readonly #held: number[] = [];

  private constructor(path: string, child: ChildProcess) {
    this.path = path;
    this.#child = child;
    child.on('message', (message: FromHangingFile) => {
      if ('held' in message) this.#held.push(message.held);
    });
  }

  /** Mounts it; it goes on and is unmounted when the test ends. @param size in bytes */
  static async mount(context: TestContext, size: number): Promise<HangingFile> {
    const folder = mountPoint('hanging');
    const script = fileURLToPath(new URL('hanging-file-server.js', import.meta.url));
    const child = fork(script, [folder, String(size)]);
    const file = new HangingFile(`${folder}/disk`, child);
    await once(child, 'message');
    context.after(async () => {
      file.goOn();
      await bash(`umount -l ${folder}`);
      child.kill('SIGKILL');
    });
    return file;
  }

  /** From now on nothing is answered. */
  hang(): void {
    this.#held.length = 0;
    this.#child.send('hang');
  }

  /** Whether such a request waits for an answer. */
  holds(request: number): boolean {
    return this.#held.includes(request);
  }

  /** Answers what was asked meanwhile, and what will be. */
  goOn(): void {
    this.#child.send('go on');
  }
}
