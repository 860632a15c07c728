/** What a session requires from its machine. */
export interface Start {
  /** The folder that guest and host share. */
  readonly folder: string;
  readonly memoryMiB: number;
  /** Undefined for the machine's default. */
  readonly processors: number | undefined;
  /** The first process of the guest, for the kernel's command line. */
  readonly init: string;
  /** Kernel parameters, the same on each machine. */
  readonly kernelWords: readonly string[];
  /** Creates a file in the shared folder that the guest's user can write to. */
  readonly write: (name: string, content: string) => void;
}

/** A machine that can be started once. */
export interface PreparedMachine {
  /** The program and its arguments. */
  readonly command: readonly string[];
  /** Whether it follows the terminal's size by itself. Otherwise the shared file `window` has the size. */
  readonly followsTerminal: boolean;
  /** Releases what is reserved for the guest. */
  readonly release: () => void;
}
