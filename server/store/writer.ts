/**
 * The only writer of the database. Mutations are written in the order in which they were submitted; those
 * that arrive while a batch is on its way to the disk share the next one, so that many at once cost one
 * sync, and nobody can see a mutation before the ones in front of it.
 *
 * A failed batch leaves LevelDB's log in an unknown state (it may hold the batch, half of it, or nothing),
 * so before the next one the database is reopened and what had failed is written back to what it was.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { failpoint } from '../failpoint.ts';
import { type MydockerError, resourceExhausted, unavailable } from '../model/error.ts';
import type { EventInput, EventRecord } from '../model/event.ts';
import type { Logger } from '../model/logger.ts';
import { nowNs } from '../model/time.ts';
import { encodeValue } from './codec.ts';
import { closeLevel, type Database, reopenLevel } from './level.ts';
import { isNoSpace, type Reserve } from './reserve.ts';
import { eventKey, TALLY_KEY } from './schema.ts';
import { addDelta, copyTally, type Tally, type TallyDelta } from './tally.ts';

/** One key to set, or to remove where there is no value. */
export interface Op {
  readonly key: string;
  readonly value?: string;
}

/** Everything that has to happen together. */
export interface Mutation {
  readonly ops: readonly Op[];
  /** Ops that bring back what was there before; asked for only after a failure. */
  readonly inverse: () => readonly Op[];
  readonly deltas: readonly TallyDelta[];
  readonly event?: (EventInput & Pick<EventRecord, 'rev'>) | undefined;
  readonly sync: boolean | 'behind';
  /** Makes it visible; runs once it is written, in order, or before if it is written behind. Must not throw. */
  readonly apply: () => void;
}

interface Queued {
  readonly mutation: Mutation;
  /** It is seen already, and has to be written some time. */
  readonly isSeen: boolean;
  readonly event: EventRecord | undefined;
  readonly resolve: (event: EventRecord | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** What the writer tells. */
export interface WriterHooks {
  /** A written event, in order, after its mutation was applied. */
  readonly publish: (event: EventRecord) => void;
  /** A tally that is durable, and how many mutations it is ahead of the last one told. */
  readonly durable: (tally: Tally, mutations: number) => void;
  readonly log: Logger;
  /** Space for when the disk is full. */
  readonly reserve: Reserve;
}

/** Most mutations in one batch. */
const MAX_GROUP = 256;
const READ_TRIES = 4;
const READ_PAUSE_MS = 25;

export class Writer {
  #db: Database;
  readonly #location: string;
  readonly #hooks: WriterHooks;
  /** After the last successful batch. */
  #tally: Tally;
  #lastSeq: bigint;
  #nextSerial: bigint;
  #queue: Queued[] = [];
  #running: Promise<void> | undefined;
  #unsynced = 0;
  /** Batches that failed and may or may not be in the log. */
  #failed: Mutation[] = [];
  /** What is seen and could not be written yet. */
  readonly #owed: Queued[] = [];
  #broken = false;
  #closed = false;

  constructor(db: Database, location: string, tally: Tally, hooks: WriterHooks) {
    this.#db = db;
    this.#location = location;
    this.#tally = tally;
    this.#lastSeq = tally.lastSeq;
    this.#nextSerial = tally.nextSerial;
    this.#hooks = hooks;
  }

  /**
   * Queues a mutation.
   * @returns its event, once it is written (and synced, where it asks for it).
   * @throws MydockerError `resource-exhausted` when the disk is full, `unavailable` when it refuses otherwise or
   * the store is closed; then it did not happen.
   */
  submit(mutation: Mutation): Promise<EventRecord | undefined> {
    if (this.#closed) {
      return Promise.reject(
        unavailable('cannot write metadata: the store is closed', { reason: 'STORE_CLOSED' }),
      );
    }
    const event = mutation.event === undefined ? undefined : this.#number(mutation.event);
    // Never before the ones in front of it.
    const isSeen = mutation.sync === 'behind' && this.#running === undefined && this.#queue.length === 0;
    if (isSeen) mutation.apply();
    const written = new Promise<EventRecord | undefined>((resolve, reject) => {
      this.#queue.push({ mutation, isSeen, event, resolve, reject });
      // Whoever it is told to is answered first.
      this.#running ??= isSeen ? nextTurn().then(() => this.#run()) : this.#run();
    });
    return isSeen ? Promise.resolve(event) : written;
  }

  /** A layer serial, durable before it is given out; one that is lost in a failure is not used again. */
  async allocateSerial(): Promise<bigint> {
    const serial = this.#nextSerial;
    this.#nextSerial += 1n;
    await this.submit({ ops: [], inverse: () => [], deltas: [], sync: true, apply: () => undefined });
    return serial;
  }

  /** Makes all that was acknowledged durable. */
  async flush(): Promise<void> {
    if (this.#unsynced === 0 && this.#running === undefined) return;
    await this.submit({ ops: [], inverse: () => [], deltas: [], sync: true, apply: () => undefined });
  }

  /** Reads from the database, again when it was just being reopened. */
  async read<R>(query: (db: Database) => Promise<R>): Promise<R> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await query(this.#db);
      } catch (error) {
        if (this.#closed || tries === READ_TRIES) {
          throw unavailable('cannot read metadata', { reason: 'STORE_UNREADABLE', cause: error });
        }
        await new Promise((resolve) => setTimeout(resolve, READ_PAUSE_MS));
      }
    }
  }

  /** Writes what is queued, refuses more, and frees the lock. */
  async close(): Promise<void> {
    if (this.#closed) return;
    const flushed = this.flush().catch((error: unknown) => {
      this.#hooks.log.error({ err: error }, 'cannot flush metadata at close');
    });
    this.#closed = true;
    await flushed;
    await this.#running;
    await closeLevel(this.#location, this.#db);
  }

  #number(input: NonNullable<Mutation['event']>): EventRecord {
    this.#lastSeq += 1n;
    return { ...input, v: 1, seq: this.#lastSeq, at: nowNs() };
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      const group = [...this.#owed.splice(0), ...this.#queue.splice(0, MAX_GROUP)];
      try {
        await this.#writeSomehow(group);
      } catch (error) {
        this.#hooks.log.error({ err: error, mutations: group.length }, 'cannot write metadata');
        const refusal = isNoSpace(error) ? noSpace(error) : refused(error);
        for (const { reject } of group.filter(({ isSeen }) => !isSeen)) reject(refusal);
        // With whatever is written next.
        this.#owed.push(...group.filter(({ isSeen }) => isSeen));
      }
    }
    // In the turn that saw the queue empty, or a mutation submitted after it would wait for ever.
    this.#running = undefined;
  }

  /** On a full disk again and again, as long as there is something in reserve. */
  async #writeSomehow(group: readonly Queued[]): Promise<void> {
    const { reserve, log } = this.#hooks;
    for (;;) {
      try {
        await this.#heal();
        await this.#write(group);
        return reserve.refill();
      } catch (error) {
        if (!isNoSpace(error) || !reserve.release()) throw error;
        log.warn({ err: error }, 'the disk is full; metadata goes on with space that was kept for it');
      }
    }
  }

  async #write(group: readonly Queued[]): Promise<void> {
    const tally = this.#tallyWith(group);
    const sync = group.some(({ mutation }) => mutation.sync === true);
    const ops: Op[] = group.flatMap(({ mutation }) => mutation.ops);
    for (const { event } of group) {
      if (event !== undefined) ops.push(putOp(eventKey(event.seq), event));
    }
    ops.push(putOp(TALLY_KEY, tally));
    try {
      await failpoint('store.write');
      await this.#db.batch(ops.map(toBatch), { sync });
      await failpoint('store.written');
    } catch (error) {
      this.#broken = true;
      const unseen = group.filter(({ isSeen }) => !isSeen);
      this.#failed.push(...unseen.map(({ mutation, event }) => withEvent(mutation, event)));
      throw error;
    }
    this.#tally = tally;
    this.#unsynced += group.length;
    for (const { mutation, isSeen, event, resolve } of group) {
      if (!isSeen) mutation.apply();
      if (event !== undefined) this.#hooks.publish(event);
      resolve(event);
    }
    if (!sync) return;
    this.#hooks.durable(tally, this.#unsynced);
    this.#unsynced = 0;
  }

  #tallyWith(group: readonly Queued[]): Tally {
    const tally = copyTally(this.#tally);
    tally.mutations += group.length;
    // Numbers given out to mutations still in the queue count as well: none is ever given out twice.
    tally.lastSeq = this.#lastSeq;
    tally.nextSerial = this.#nextSerial;
    for (const { mutation } of group) for (const delta of mutation.deltas) addDelta(tally, delta);
    return tally;
  }

  async #heal(): Promise<void> {
    if (!this.#broken) return;
    await this.#db.close().catch(() => undefined);
    this.#db = await reopenLevel(this.#location);
    const ops = this.#failed.toReversed().flatMap((mutation) => mutation.inverse());
    ops.push(putOp(TALLY_KEY, { ...this.#tally, lastSeq: this.#lastSeq, nextSerial: this.#nextSerial }));
    await this.#db.batch(ops.map(toBatch), { sync: true });
    this.#failed = [];
    this.#broken = false;
    this.#hooks.log.warn({}, 'metadata is writable again');
  }
}

const noSpace = (cause: unknown): MydockerError =>
  resourceExhausted('cannot write metadata: no space left on the disk', {
    reason: 'NO_SPACE',
    hint: 'remove files that do not belong to mydocker; containers and images can be removed then',
    cause,
  });

const refused = (cause: unknown): MydockerError =>
  unavailable('cannot write metadata: the disk refuses', {
    reason: 'STORE_WRITE_FAILED',
    hint: 'look for errors of the disk in the kernel log',
    cause,
  });

/** An op that sets a key. */
export function putOp(key: string, value: unknown): Op {
  return { key, value: encodeValue(key, value) };
}

/** An op as LevelDB takes it. */
export function toBatch(op: Op): { type: 'put'; key: string; value: string } | { type: 'del'; key: string } {
  return op.value === undefined
    ? { type: 'del', key: op.key }
    : { type: 'put', key: op.key, value: op.value };
}

function withEvent(mutation: Mutation, event: EventRecord | undefined): Mutation {
  if (event === undefined) return mutation;
  return { ...mutation, inverse: () => [...mutation.inverse(), { key: eventKey(event.seq) }] };
}
