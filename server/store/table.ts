/**
 * One kind of record: all of it in memory for reads, every change through the writer, each change checked
 * against the revision that it was made from.
 */
import { aborted, alreadyExists, cannot, notFound } from '../model/error.ts';
import type { EventInput, EventRecord } from '../model/event.ts';
import { insertSorted, removeSorted } from '../model/resolve.ts';
import { nowNs } from '../model/time.ts';
import { keyOf, type TableName } from './schema.ts';
import type { Stored, Table, WriteOptions } from './store.ts';
import type { TallyDelta } from './tally.ts';
import type { UniqueIndex } from './unique-index.ts';
import { type Op, putOp, type Writer } from './writer.ts';

/** How a table differs from the others. */
export interface TableOptions<T> {
  readonly name: TableName;
  readonly writer: Writer;
  readonly idOf: (record: T) => string;
  /** Unique keys of a record, and where they are kept. */
  readonly unique?: { readonly index: UniqueIndex; readonly keysOf: (record: T) => readonly string[] };
}

/** A record before and after; one of them is absent where it is new or goes. */
export interface Change<T> {
  readonly before?: T | undefined;
  readonly after?: T | undefined;
}

export class RecordTable<T extends Stored> implements Table<T> {
  readonly #options: TableOptions<T>;
  readonly #records = new Map<string, T>();
  readonly #ids: string[] = [];
  /** Ids that are being written, each with a promise that only ever fulfils. */
  readonly #pending = new Map<string, Promise<unknown>>();

  constructor(options: TableOptions<T>) {
    this.#options = options;
  }

  get size(): number {
    return this.#records.size;
  }

  get(id: string): T | undefined {
    return this.#records.get(id);
  }

  list(): T[] {
    return [...this.#records.values()];
  }

  ids(): readonly string[] {
    return this.#ids;
  }

  /** At open: records that are already written. */
  load(records: readonly T[]): void {
    const { idOf, unique } = this.#options;
    for (const record of records.toSorted((a, b) => (a.createdAt < b.createdAt ? -1 : 1))) {
      const id = idOf(record);
      this.#records.set(id, record);
      this.#ids.push(id);
      for (const key of unique?.keysOf(record) ?? []) unique?.index.load(key, id);
    }
    this.#ids.sort();
  }

  async put(record: T, options: WriteOptions = {}): Promise<T> {
    const { name, idOf } = this.#options;
    const id = idOf(record);
    const before = this.#records.get(id);
    if (record.rev === 0n && (before !== undefined || this.#pending.has(id))) throw alreadyExists(name, id);
    if (record.rev !== 0n && before === undefined) throw notFound(name, id);
    if (this.#pending.has(id) || (before !== undefined && before.rev !== record.rev)) {
      throw this.#conflict(id);
    }
    const after = this.next(record);
    await this.commit([{ before, after }], options);
    return after;
  }

  async update(id: string, change: (record: T) => T, options: WriteOptions = {}): Promise<T> {
    for (let busy = this.busy(id); busy !== undefined; busy = this.busy(id)) await busy;
    const before = this.#records.get(id);
    if (before === undefined) throw notFound(this.#options.name, id);
    const changed = change(before);
    if (changed === before) return before;
    const { idOf, name } = this.#options;
    if (idOf(changed) !== id) throw cannot('internal', 'change', name, id, 'its id cannot change');
    const after = this.next({ ...changed, rev: before.rev, createdAt: before.createdAt });
    await this.commit([{ before, after }], options);
    return after;
  }

  async delete(id: string, options: WriteOptions = {}): Promise<T | undefined> {
    for (let busy = this.busy(id); busy !== undefined; busy = this.busy(id)) await busy;
    const before = this.#records.get(id);
    if (before !== undefined) await this.commit([{ before }], options);
    return before;
  }

  /**
   * Undefined when none of these ids is being written, else a promise that fulfils after some of them. To be
   * asked again after it: whoever also waited may have come first.
   */
  protected busy(...ids: readonly string[]): Promise<unknown> | undefined {
    const writes = ids.flatMap((id) => this.#pending.get(id) ?? []);
    return writes.length === 0 ? undefined : Promise.all(writes);
  }

  /** The record as it will be stored. */
  protected next(record: T): T {
    const now = nowNs();
    const createdAt = record.createdAt === 0n ? now : record.createdAt;
    return { ...record, rev: record.rev + 1n, createdAt, updatedAt: now };
  }

  /** Writes changes of several records together; none of them may be pending. */
  protected async commit(changes: readonly Change<T>[], options: WriteOptions): Promise<void> {
    const { unique, writer } = this.#options;
    const claim = unique?.index.claim(
      changes.map((change) => ({
        id: this.#idOf(change),
        before: change.before === undefined ? [] : unique.keysOf(change.before),
        after: change.after === undefined ? [] : unique.keysOf(change.after),
      })),
    );
    const ids = changes.map((change) => this.#idOf(change));
    // Fulfils either way: who waits for it looks at the record afterwards.
    const settled = Promise.withResolvers<void>();
    for (const id of ids) this.#pending.set(id, settled.promise);
    const finish = (): void => {
      for (const id of ids) this.#pending.delete(id);
      settled.resolve();
    };
    try {
      await writer.submit({
        ops: [...changes.map((change) => this.#op(change, 'after')), ...(claim?.ops ?? [])],
        inverse: () => [...changes.map((change) => this.#op(change, 'before')), ...(claim?.inverse ?? [])],
        deltas: changes.map((change) => this.#delta(change)),
        event: options.event === undefined ? undefined : this.#withRev(options.event, changes),
        sync: options.sync ?? true,
        apply: () => {
          for (const change of changes) this.#apply(change);
          claim?.commit();
          finish();
        },
      });
    } catch (error) {
      claim?.release();
      finish();
      throw error;
    }
  }

  #apply(change: Change<T>): void {
    const id = this.#idOf(change);
    if (change.after === undefined) {
      this.#records.delete(id);
      removeSorted(this.#ids, id);
      return;
    }
    this.#records.set(id, change.after);
    if (change.before === undefined) insertSorted(this.#ids, id);
  }

  #op(change: Change<T>, side: 'before' | 'after'): Op {
    const key = keyOf(this.#options.name, this.#idOf(change));
    const record = change[side];
    return record === undefined ? { key } : putOp(key, record);
  }

  #delta(change: Change<T>): TallyDelta {
    return {
      table: this.#options.name,
      id: this.#idOf(change),
      ...(change.before === undefined ? {} : { revBefore: change.before.rev }),
      ...(change.after === undefined ? {} : { revAfter: change.after.rev }),
    };
  }

  /** Of the changes of a batch the event tells of one. */
  #withRev(event: EventInput, changes: readonly Change<T>[]): EventInput & Pick<EventRecord, 'rev'> {
    const change = changes.find((candidate) => this.#idOf(candidate) === event.id);
    const rev = change?.after?.rev ?? (change?.before === undefined ? undefined : change.before.rev + 1n);
    return rev === undefined ? event : { ...event, rev };
  }

  #idOf(change: Change<T>): string {
    const record = change.after ?? change.before;
    return record === undefined ? '' : this.#options.idOf(record);
  }

  #conflict(id: string): Error {
    return aborted(`cannot change ${this.#options.name} ${id}: it was changed meanwhile`, {
      reason: 'STALE_REVISION',
      hint: 'read it again and retry',
    });
  }
}
