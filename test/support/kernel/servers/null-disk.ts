import '../lab/inside.js';
import { readdirSync, writeFileSync } from 'node:fs';
import { bash, until } from './vduse.js';

export interface NullDiskOptions {
  readonly mebibytes: number;
  /** Time that each request takes; none by default. */
  readonly microseconds?: number;
  /** Size of a volatile write cache, in MiB; none by default. */
  readonly cache?: number;
}

/** A disk in memory by the kernel's null_blk. */
export class NullDisk {
  readonly #folder: string;
  #path = '';

  private constructor(name: string) {
    this.#folder = `/sys/kernel/config/nullb/${name}`;
  }

  static async create(name: string, { mebibytes, microseconds = 0, cache = 0 }: NullDiskOptions): Promise<NullDisk> {
    const disk = new NullDisk(name);
    await bash(`mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
      mkdir ${disk.#folder}; cd ${disk.#folder}
      echo ${mebibytes} > size; echo 512 > blocksize; echo 1 > memory_backed; echo 1 > discard; echo ${cache} > cache_size
      echo 2 > irqmode; echo ${microseconds * 1000} > completion_nsec`);
    await disk.turnOn();
    return disk;
  }

  /** `/dev/nullb1`, which may be another one each time. */
  get path(): string {
    return this.#path;
  }

  async turnOn(): Promise<void> {
    const known = new Set(readdirSync('/sys/block'));
    writeFileSync(`${this.#folder}/power`, '1');
    const name = await until('the disk is there', () => readdirSync('/sys/block').find((each) => !known.has(each)));
    this.#path = `/dev/${name}`;
  }

  /** Cuts its power: the content of its cache is lost, and the disk is gone from the machine. */
  turnOff(): void {
    writeFileSync(`${this.#folder}/power`, '0');
  }

  async remove(): Promise<void> {
    await bash(`echo 0 > ${this.#folder}/power; rmdir ${this.#folder}`);
  }
}
