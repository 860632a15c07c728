import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { LocalFiles } from '../../src/sysfs/machine-files.js';

/** A folder that looks like the root of a machine, as far as a test needs it. */
export class FakeMachine {
  readonly root = realpathSync(mkdtempSync(join(tmpdir(), 'vdpa-machine-')));
  readonly files = new LocalFiles(this.root);

  file(path: string, text = ''): this {
    const full = join(this.root, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text);
    return this;
  }

  folder(path: string): this {
    mkdirSync(join(this.root, path), { recursive: true });
    return this;
  }

  /** A relative symbolic link, as in sysfs. */
  link(path: string, target: string): this {
    const full = join(this.root, path);
    mkdirSync(dirname(full), { recursive: true });
    symlinkSync(relative(dirname(full), join(this.root, target)), full);
    return this;
  }

  /** A device on the vdpa bus, in a folder of /sys/devices. */
  vdpaDevice(name: string, { above = '', driver }: { above?: string; driver?: string } = {}): this {
    const folder = `/sys/devices/${above}${name}`;
    this.folder(folder).link(`/sys/bus/vdpa/devices/${name}`, folder);
    this.file(`${folder}/driver_override`, '(null)\n').link(`${folder}/subsystem`, '/sys/bus/vdpa');
    if (driver !== undefined) this.driver(driver).link(`${folder}/driver`, `/sys/bus/vdpa/drivers/${driver}`);
    return this;
  }

  driver(name: string): this {
    return this.file(`/sys/bus/vdpa/drivers/${name}/bind`).file(`/sys/bus/vdpa/drivers/${name}/unbind`);
  }

  remove(): void {
    rmSync(this.root, { recursive: true });
  }
}
