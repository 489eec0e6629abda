/** What an option is, as data: parser, help and the commands' types are all read off the same tables. */

/** One option. */
export interface Option {
  /** Every spelling, with dashes: `-e`, `--env`. A long one may also be typed with one dash. */
  readonly names: readonly string[];
  /** `flag` takes no value, `text` takes one (the last one given counts), `list` collects several. */
  readonly type: 'flag' | 'text' | 'list';
  /** What the value is, for help: `SIZE`. */
  readonly value?: string;
  /** What it does, for help. */
  readonly about: string;
}

/** Options by the name that commands use for them. */
export type Options = Readonly<Record<string, Option>>;

/** What was given for each option; undefined where it was not, an empty list for lists. */
export type Values<O extends Options> = {
  readonly [K in keyof O]: O[K]['type'] extends 'flag'
    ? boolean | undefined
    : O[K]['type'] extends 'list'
      ? readonly string[]
      : string | undefined;
};

/** What was typed after a command's name. */
export interface Arguments<O extends Options = Options> {
  readonly options: Values<O>;
  readonly positionals: readonly string[];
}
