/**
 * Keys of which each belongs to one record at most: container names, image references. A key is taken in
 * memory at once, before anything is written, so that of many who want it at the same time one wins.
 */
import type { MydockerError } from '../model/error.ts';
import type { IndexName } from './schema.ts';
import { keyOf } from './schema.ts';
import { type Op, putOp } from './writer.ts';

/** The keys of one record before and after a change; the record is new or goes where one side is empty. */
export interface KeyChange {
  readonly id: string;
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** Keys held for a change that is being written. */
export interface Claim {
  readonly ops: readonly Op[];
  readonly inverse: readonly Op[];
  /** The change is written. */
  readonly commit: () => void;
  /** It is not. */
  readonly release: () => void;
}

interface Held {
  readonly id: string;
  holds: number;
}

export class UniqueIndex {
  readonly #name: IndexName;
  readonly #taken: (key: string, holder: string) => MydockerError;
  readonly #committed = new Map<string, string>();
  readonly #held = new Map<string, Held>();

  /** @param taken - makes the error for a key that another id has. */
  constructor(name: IndexName, taken: (key: string, holder: string) => MydockerError) {
    this.#name = name;
    this.#taken = taken;
  }

  /** Id that a written record gives this key. */
  get(key: string): string | undefined {
    return this.#committed.get(key);
  }

  /** Id that has the key or is about to have it. */
  holder(key: string): string | undefined {
    return this.#held.get(key)?.id ?? this.#committed.get(key);
  }

  /** At open: a key that is already written. */
  load(key: string, id: string): void {
    this.#committed.set(key, id);
  }

  /** Holds a key until disposed of; what was written meanwhile stays. */
  reserve(key: string, id: string): Disposable {
    this.#check(key, id, new Set());
    this.#hold(key, id);
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (held) this.#drop(key);
        held = false;
      },
    };
  }

  /**
   * Takes all keys that a set of changes needs, or none.
   * @throws what `taken` makes, for the first key that somebody else has.
   */
  claim(changes: readonly KeyChange[]): Claim {
    const freed = new Map<string, string>();
    for (const { id, before, after } of changes) {
      for (const key of before) if (!after.includes(key)) freed.set(key, id);
    }
    const wanted = new Map<string, string>();
    for (const { id, before, after } of changes) {
      for (const key of after) if (!before.includes(key)) wanted.set(key, id);
    }
    for (const [key, id] of wanted) this.#check(key, id, new Set(freed.keys()));
    for (const [key, id] of wanted) this.#hold(key, id);
    const release = (): void => {
      for (const key of wanted.keys()) this.#drop(key);
    };
    return {
      ops: [
        ...[...freed.keys()]
          .filter((key) => !wanted.has(key))
          .map((key) => ({ key: keyOf(this.#name, key) })),
        ...[...wanted].map(([key, id]) => putOp(keyOf(this.#name, key), id)),
      ],
      inverse: [
        ...[...wanted.keys()]
          .filter((key) => !freed.has(key))
          .map((key) => ({ key: keyOf(this.#name, key) })),
        ...[...freed].map(([key, id]) => putOp(keyOf(this.#name, key), id)),
      ],
      commit: () => {
        for (const key of freed.keys()) this.#committed.delete(key);
        for (const [key, id] of wanted) this.#committed.set(key, id);
        release();
      },
      release,
    };
  }

  #check(key: string, id: string, freed: ReadonlySet<string>): void {
    const held = this.#held.get(key)?.id;
    if (held !== undefined && held !== id) throw this.#taken(key, held);
    const committed = this.#committed.get(key);
    if (committed !== undefined && committed !== id && !freed.has(key)) throw this.#taken(key, committed);
  }

  #hold(key: string, id: string): void {
    const held = this.#held.get(key);
    if (held === undefined) this.#held.set(key, { id, holds: 1 });
    else held.holds += 1;
  }

  #drop(key: string): void {
    const held = this.#held.get(key);
    if (held === undefined) return;
    held.holds -= 1;
    if (held.holds === 0) this.#held.delete(key);
  }
}
