import { closeSync, constants, fsyncSync, openSync, readFileSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { Errno, nodeErrno } from '../../sys/errno.js';
import { VduseError } from '../error.js';
import { DeviceOptionError } from '../spec/error.js';
import { compareRecordedSpecs, type RecordedSpec, type InstanceRecord } from '../spec/instance-record.js';

/** The contents of the file. */
type StoredSpec = Omit<RecordedSpec, 'features' | 'packed'> & { readonly features: string; readonly packed?: boolean };

/** The record of an instance in a file of its runtime directory. */
export class RecordFile implements InstanceRecord {
  readonly #name: string;
  readonly #path: string;
  readonly #force: boolean;
  #features: bigint | undefined;
  #spec: RecordedSpec | undefined;

  /** @param force the instance may be served with other properties than it was created with */
  constructor(name: string, path: string, force: boolean) {
    this.#name = name;
    this.#path = path;
    this.#force = force;
  }

  /** @throws VduseError if it is damaged; with `force`, it counts as missing */
  read(): RecordedSpec | undefined {
    let text: string;
    try {
      const fd = openSync(this.#path, constants.O_RDONLY | constants.O_NOFOLLOW);
      try {
        text = readFileSync(fd, 'utf8');
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      if (nodeErrno(error) === Errno.ENOENT) return undefined;
      throw error;
    }
    try {
      // It has this type unless it is damaged: only servers of this user write it, as a whole; see RuntimeFolder.
      const { features, packed, ...spec } = JSON.parse(text) as StoredSpec;
      // Servers of older versions did not offer packed queues.
      return { ...spec, packed: packed ?? false, features: BigInt(features) };
    } catch {
      if (this.#force) return undefined;
      throw new VduseError(
        `the record of instance ${this.#name} is damaged: serve it with the same settings and "force"`,
      );
    }
  }

  check(is: RecordedSpec): void {
    const was = this.read();
    if (!was) return;
    // The features that the kernel offers drivers do not change after creation.
    this.#features = was.features;
    const { lasting, others } = compareRecordedSpecs(was, is);
    const differences = this.#force ? lasting : [...lasting, ...others];
    if (differences.length === 0) return;
    const remedy = lasting.length > 0 ? '' : ', or use "force"';
    throw new DeviceOptionError(
      `Instance ${this.#name} was created with ${differences.join('; ')}: serve it with the same settings${remedy}`,
    );
  }

  keep(spec: RecordedSpec): void {
    this.#write({ ...spec, features: this.#features ?? spec.features });
  }

  grow(size: number): void {
    if (this.#spec) this.#write({ ...this.#spec, size });
  }

  #write(spec: RecordedSpec): void {
    this.#spec = spec;
    const stored: StoredSpec = { ...spec, features: `0x${spec.features.toString(16)}` };
    const draft = `${this.#path}.new`;
    try {
      unlinkSync(draft);
    } catch (error) {
      if (nodeErrno(error) !== Errno.ENOENT) throw error;
    }
    const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
    const fd = openSync(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      writeSync(fd, `${JSON.stringify(stored)}\n`);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(draft, this.#path);
  }
}
