/** What a session asks of its machine. */
export interface Start {
  /** The folder that guest and host share. */
  readonly folder: string;
  readonly memoryMiB: number;
  /** Undefined for the machine's default. */
  readonly processors: number | undefined;
  /** The first process of the guest, as the kernel's command line may hold it. */
  readonly init: string;
  /** Words for the kernel's command line, the same on each machine. */
  readonly kernelWords: readonly string[];
  /** Makes a file in the shared folder that the guest's user may write. */
  readonly write: (name: string, content: string) => void;
}

/** A machine that can be started, once. */
export interface PreparedMachine {
  /** The program and its arguments. */
  readonly command: readonly string[];
  /** Whether it hears of the terminal's size by itself. Otherwise it is told in the shared file `window`. */
  readonly followsTerminal: boolean;
  /** Gives back what is held for the guest. */
  readonly release: () => void;
}
