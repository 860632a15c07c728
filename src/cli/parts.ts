/** The parts of the bundled program (scripts/bundle.mjs): each is a function that shares its pieces with other parts. */

/** The pieces of a part that others import, by name, each as a function that returns its exports. */
type Pieces = Readonly<Record<string, () => unknown>>;

type Require = (name: string) => unknown;

/** What the bundler wraps around each part. */
export type PartFunction = (
  share: (pieces: Pieces) => void,
  require: Require,
  filename: string,
  dirname: string,
) => void;

/** A part that is compiled. */
export interface Part {
  readonly evaluate: PartFunction;
  readonly filename: string;
  readonly dirname: string;
}

/**
 * Runs the program: its first part, which loads others.
 * @param compile called once for each part that is needed
 * @param loadPackage loads a package, which no part contains
 */
export function runParts(compile: (name: string) => Part, loadPackage: Require): void {
  const loaded = new Map<string, Pieces>();

  /** `require` of the parts: returns modules of Node, packages, and pieces of other parts, named `PART#PIECE`. */
  function load(name: string): unknown {
    const end = name.indexOf('#');
    if (end === -1) return process.getBuiltinModule(name) ?? loadPackage(name);
    return partOf(name.slice(0, end))[name.slice(end + 1)]?.();
  }

  function partOf(name: string): Pieces {
    const known = loaded.get(name);
    if (known !== undefined) return known;
    let shared: Pieces = {};
    const share = (pieces: Pieces): void => {
      shared = pieces;
      loaded.set(name, pieces);
    };
    const { evaluate, filename, dirname } = compile(name);
    evaluate(share, load, filename, dirname);
    return shared;
  }

  partOf('main.js');
}
