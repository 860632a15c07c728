/** Kinds of fields of a served device. */

interface Common {
  /** One sentence for the help, without its full stop. */
  readonly help: string;
  /** In a state file, a key of the device, as for every kind of management device, not of `server`. */
  readonly ofDevice?: true;
  /** `vdpa vduse show` prints it. */
  readonly shown?: true;
  /** Whether the next server of an instance may have another value: never, or only with `force`. */
  readonly kept?: 'always' | 'unless forced';
}

/** A field and the notation of its value. */
export type Field = Common &
  (
    | { readonly kind: 'integer'; readonly minimum: number; readonly maximum: number; readonly placeholder: string }
    /** Bytes: a number, or a text for `parseSize`. */
    | { readonly kind: 'size' }
    | { readonly kind: 'choice'; readonly choices: readonly (string | number)[] }
    /** True if the keyword is given. */
    | { readonly kind: 'flag' }
    | { readonly kind: 'switch' }
    | { readonly kind: 'text'; readonly placeholder: string }
    | { readonly kind: 'file' }
    /** A text for `parseCpus`. */
    | { readonly kind: 'processors' }
    | { readonly kind: 'mac' }
  );

export type Fields = Readonly<Record<string, Field>>;

/**
 * The type of a field; of several fields of one kind, what any of them may be. In brackets, so that the type of a
 * choice is that of its choices, and does not refer to the table where it is shown.
 */
export type ValueOf<F extends Field> = [F] extends [
  { readonly kind: 'choice'; readonly choices: readonly (infer Choice)[] },
]
  ? Choice
  : [F] extends [{ readonly kind: 'integer' | 'size' }]
    ? number
    : [F] extends [{ readonly kind: 'flag' | 'switch' }]
      ? boolean
      : [F] extends [{ readonly kind: 'text' | 'file' | 'mac' | 'processors' }]
        ? string
        : never;

/** `block_size` for `blockSize`. */
export type Snake<Name extends string> = Name extends `${infer First}${infer Rest}`
  ? First extends Lowercase<First>
    ? `${First}${Snake<Rest>}`
    : `_${Lowercase<First>}${Snake<Rest>}`
  : Name;

/** The keyword of a field: `block_size` for `blockSize`. */
export function keywordOf<Name extends string>(name: Name): Snake<Name> {
  // TypeScript does not compute the type of a text with replacements.
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) as Snake<Name>;
}
