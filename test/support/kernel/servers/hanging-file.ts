import '../lab/inside.js';
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bash, mountPoint } from './vduse.js';

/** FUSE requests, from linux/fuse.h. */
export const FUSE_LOOKUP = 1;
export const FUSE_GETATTR = 3;
export const FUSE_READ = 15;

export type ToHangingFile = 'hang' | 'go on';
export type FromHangingFile = { readonly mounted: true } | { readonly held: number };

/** A file in a file system that stops answering on request, as network file systems may; see hanging-file-server.ts. */
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

  /** Mounts it; it resumes and is unmounted when the test ends. @param size in bytes */
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

  /** Stops answering. */
  hang(): void {
    this.#held.length = 0;
    this.#child.send('hang');
  }

  /** Whether a request of this type is waiting for an answer. */
  holds(request: number): boolean {
    return this.#held.includes(request);
  }

  /** Answers pending requests, and all later ones. */
  goOn(): void {
    this.#child.send('go on');
  }
}
