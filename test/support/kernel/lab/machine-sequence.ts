/** Random steps for a machine and a simulated one. */
import { SystemError } from '../../../../src/sys/error.js';
import type { Outcome } from '../../command-line.js';
import { Random } from '../../random.js';
import type { MachineSide } from './machine-side.js';

const BUS = '/sys/bus/vdpa';

/** A kind of devices that sequences add. */
export interface AddableDevice {
  /** The names that it is added with. */
  readonly names: readonly string[];
  /** The words of `dev add` after the name: `mgmtdev vdpasim_net`. */
  readonly words: string;
  /** How many of it there are at most; no limit by default. */
  readonly most?: number;
}

/** Steps that make sense for the devices there are; most of them succeed. */
export class Sequence {
  readonly seed: number;
  readonly random: Random;
  readonly steps: string[] = [];
  readonly #addable: readonly AddableDevice[];
  readonly #names: readonly string[];
  /** The devices there are. */
  readonly #devices = new Map<string, AddableDevice>();
  readonly #held = new Map<string, { readonly device: string; readonly end: (() => void)[] }>();
  readonly #sides: readonly [MachineSide, MachineSide];

  constructor(seed: number, addable: readonly AddableDevice[], sides: readonly [MachineSide, MachineSide]) {
    this.seed = seed;
    this.random = new Random(seed);
    this.#addable = addable;
    this.#names = [...new Set(addable.flatMap(({ names }) => names))];
    this.#sides = sides;
  }

  /** The names of the devices there are. */
  get devices(): string[] {
    return [...this.#devices.keys()];
  }

  next(): string {
    const { random } = this;
    const name = anyOf(random, this.#names);
    const driver = random.pick(['vhost', 'virtio']);
    const isHeld = [...this.#held.values()].some(({ device }) => device === name);
    switch (random.below(isHeld ? 5 : 11)) {
      case 0:
        return `dev bind ${name} driver ${driver}`;
      case 1:
        return `dev unbind ${name}`;
      case 2:
        return `dev del ${name}`;
      case 3:
        return this.#held.size > 0 ? `release ${[...this.#held.keys()][0] ?? ''}` : `hold ${name}`;
      case 4:
        return `write ${BUS}/devices/${name}/driver_override ${random.pick(['vhost_vdpa\n', 'virtio_vdpa', '\n', 'no'])}`;
      case 5:
        return `write ${BUS}/drivers/${driver}_vdpa/${random.pick(['bind', 'unbind'])} ${name}`;
      case 6:
        return `write ${BUS}/drivers_probe ${name}`;
      case 7:
        return `write ${BUS}/drivers_autoprobe ${random.below(2)}`;
      default:
        return this.#add(driver);
    }
  }

  #add(driver: string): string {
    const { random } = this;
    const there = [...this.#devices.values()];
    const possible = this.#addable.filter(
      (kind) => there.filter((other) => other === kind).length < (kind.most ?? Infinity),
    );
    const { names, words } = anyOf(random, possible);
    const options = random.chance(30) ? ` driver ${driver}` : '';
    return `dev add name ${anyOf(random, names)} ${words}${options}`;
  }

  async perform(side: MachineSide, step: string): Promise<Outcome> {
    const [verb = '', object = '', ...rest] = step.split(' ');
    if (verb === 'dev') return side.vdpa(step);
    const silent = { status: 0, stdout: '', stderr: '' };
    if (verb === 'write') {
      try {
        side.files.write('write', object, rest.join(' '));
        return silent;
      } catch (error) {
        if (error instanceof SystemError) return { ...silent, status: 1, stderr: error.code };
        throw error;
      }
    }
    if (verb === 'release') {
      this.#held.get(object)?.end[this.#sides.indexOf(side)]?.();
      return silent;
    }
    const node = side.files.list(`${BUS}/devices/${object}`).find((part) => part.startsWith('vhost-vdpa-'));
    if (node === undefined) return { ...silent, status: 1 };
    const held = this.#held.get(node) ?? { device: object, end: [] };
    held.end[this.#sides.indexOf(side)] = side.hold(node);
    this.#held.set(node, held);
    return { ...silent, stdout: node };
  }

  /** Records the effect of a step. */
  done(step: string, succeeded: boolean): void {
    if (!succeeded) return;
    const [, added = '', words = ''] = /^dev add name (\S+) (.*)$/.exec(step) ?? [];
    const kind = this.#addable.find(
      (candidate) => candidate.names.includes(added) && words.startsWith(candidate.words),
    );
    if (kind !== undefined) this.#devices.set(added, kind);
    const deleted = /^dev del (\S+)/.exec(step)?.[1];
    if (deleted !== undefined) this.#devices.delete(deleted);
    const released = /^release (\S+)/.exec(step)?.[1];
    if (released !== undefined) this.#held.delete(released);
  }

  /** Closes all nodes. */
  letGo(): void {
    for (const { end } of this.#held.values()) for (const close of end) close();
    this.#held.clear();
  }
}

function anyOf<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[random.below(items.length)];
  if (item === undefined) throw new Error('there is nothing to choose from');
  return item;
}
