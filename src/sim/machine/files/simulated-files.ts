import { constants } from 'node:fs';
import { posix } from 'node:path';
import { Errno } from '../../../sys/errno.js';
import { SystemError } from '../../../sys/error.js';
import type { DeviceNumber, FileAccess, MachineFiles } from '../../../sysfs/machine-files.js';
import { Refusal } from '../../netlink/refusal.js';
import type { MachineDraft, MachineStore } from '../../state/store.js';
import { holdersOf, whenReleased } from '../holders.js';
import type { DeviceNode, FileNode } from './node.js';
import { rootDirectory } from './root.js';

/** The limit of Linux for links in a path: MAXSYMLINKS. */
const MAX_LINKS = 40;

/** A file and its path without links. */
interface Found {
  readonly path: string;
  readonly node: FileNode;
}

/** The files of a simulated machine. Writes change its state, as in the kernel. */
export class SimulatedFiles implements MachineFiles {
  readonly #store: MachineStore;
  readonly #uid: number | undefined;

  /** @param uid the user of this process there; by default that of the machine */
  constructor(store: MachineStore, uid?: number) {
    this.#store = store;
    this.#uid = uid;
  }

  text(path: string): string | undefined {
    const node = this.#find(path)?.node;
    if (node?.kind === 'directory') throw new SystemError({ operation: `read ${path}`, errno: Errno.EISDIR });
    return node?.kind === 'file' ? node.text?.replace(/\n$/, '') : undefined;
  }

  list(path: string): string[] {
    const node = this.#find(path)?.node;
    return node?.kind === 'directory' ? [...node.names()].sort() : [];
  }

  link(path: string): string | undefined {
    const node = this.#find(path, 'itself')?.node;
    return node?.kind === 'link' ? node.target : undefined;
  }

  linkName(path: string): string | undefined {
    const target = this.link(path);
    return target === undefined ? undefined : posix.basename(target);
  }

  real(path: string): string | undefined {
    return this.#find(path)?.path;
  }

  exists(path: string): boolean {
    return this.#find(path, 'itself') !== undefined;
  }

  deviceNumber(path: string): DeviceNumber | undefined {
    const node = this.#find(path)?.node;
    return node?.kind === 'device' ? node.device : undefined;
  }

  access(path: string): FileAccess | undefined {
    const node = this.#find(path)?.node;
    return node && accessOf(node);
  }

  setAccess(operation: string, path: string, device: DeviceNumber, access: Partial<FileAccess>): void {
    const node = this.#require(operation, path);
    const isSame =
      node.kind === 'device' &&
      node.device.kind === device.kind &&
      node.device.major === device.major &&
      node.device.minor === device.minor;
    if (!isSame) {
      throw new SystemError({ operation, errno: Errno.ENODEV, hint: `${path} was replaced by another device` });
    }
    if (this.#user !== 0) throw new SystemError({ operation, errno: Errno.EPERM });
    const { setAccess } = node;
    if (setAccess !== undefined) {
      this.#change(operation, (draft) => {
        setAccess(draft, access);
      });
    }
  }

  write(operation: string, path: string, text: string): void {
    const node = this.#require(operation, path);
    if (node.kind === 'directory') throw new SystemError({ operation, errno: Errno.EISDIR });
    const write = node.kind === 'file' ? node.write : undefined;
    // All files belong to root.
    if (write === undefined || this.#user !== 0) throw new SystemError({ operation, errno: Errno.EACCES });
    this.#change(operation, (draft) => {
      write(draft, text);
    });
  }

  touch(operation: string, path: string, flags: number): void {
    const node = this.#require(operation, path);
    if (node.kind !== 'device') return;
    if (!this.#mayOpen(node)) throw new SystemError({ operation, errno: Errno.EACCES });
    if (this.#isTaken(node, flags)) throw new SystemError({ operation, errno: Errno.EBUSY });
  }

  /** vhost-vdpa and VDUSE permit one process at a time; a disk only if somebody asks for it. */
  #isTaken({ name, device }: DeviceNode, flags: number): boolean {
    if (/^vduse\/(?!control$)/.test(name)) return true; // Its server.
    if (device.kind === 'block' && (flags & constants.O_EXCL) === 0) return false;
    return name.startsWith('vhost-vdpa-') && holdersOf(this.#store.read(), name).length > 0;
  }

  #mayOpen({ access: { uid, mode } }: DeviceNode): boolean {
    if (this.#user === 0) return true;
    return (mode & (this.#user === uid ? 0o600 : 0o006)) === (this.#user === uid ? 0o600 : 0o006);
  }

  get #user(): number {
    return this.#uid ?? this.#store.read().machine.uid;
  }

  #change(operation: string, change: (draft: MachineDraft) => void): void {
    try {
      whenReleased(() => {
        this.#store.update(change);
      });
    } catch (error) {
      if (error instanceof Refusal) throw new SystemError({ operation, errno: error.errno });
      throw error;
    }
  }

  #require(operation: string, path: string): FileNode {
    const found = this.#find(path);
    if (found === undefined) throw new SystemError({ operation, errno: Errno.ENOENT });
    return found.node;
  }

  /** @param last whether a link at the end of the path is followed, or is the result itself */
  #find(path: string, last: 'followed' | 'itself' = 'followed'): Found | undefined {
    const state = this.#store.read();
    const root = rootDirectory(state, { uid: this.#uid ?? state.machine.uid });
    let waiting = namesOf(path);
    let links = 0;
    // The directories from the root to the current one.
    const way: { readonly name: string; readonly node: FileNode }[] = [{ name: '', node: root }];
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      if (name === '..') {
        if (way.length > 1) way.pop();
        continue;
      }
      const current = way.at(-1)?.node;
      const node = current?.kind === 'directory' ? current.get(name) : undefined;
      if (node === undefined) return undefined;
      const isFollowed = node.kind === 'link' && (waiting.length > 0 || last === 'followed');
      if (!isFollowed) {
        way.push({ name, node });
        continue;
      }
      if (++links > MAX_LINKS) return undefined;
      if (node.target.startsWith('/')) way.length = 1;
      waiting = [...namesOf(node.target), ...waiting];
    }
    const end = way.at(-1);
    return end && { path: way.length === 1 ? '/' : way.map(({ name }) => name).join('/'), node: end.node };
  }
}

function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

/** Directories and links have the permissions of sysfs. */
function accessOf(node: FileNode): FileAccess {
  switch (node.kind) {
    case 'device':
      return node.access;
    case 'file':
      return { uid: 0, gid: 0, mode: node.mode };
    case 'directory':
      return { uid: 0, gid: 0, mode: 0o755 };
    case 'link':
      return { uid: 0, gid: 0, mode: 0o777 };
  }
}
