/**
 * Opens the metadata store: the checks that make a silent loss loud, the rebuild of what can be rebuilt,
 * then the tables over one writer.
 */
import { failpoint } from '../failpoint.ts';
import { failedPrecondition, unavailable } from '../model/error.ts';
import type { BlobRecord } from '../model/image.ts';
import { type Logger, SILENT } from '../model/logger.ts';
import type { NetworkRecord } from '../model/network.ts';
import type { VolumeRecord } from '../model/volume.ts';
import { Checkpointer, readCheckpoint } from './checkpoint.ts';
import { DEFAULT_MAX_EVENTS, Events } from './events.ts';
import { isDamaged, losses, rebuild, settledTally, settleUnique, suspicions } from './examine.ts';
import { beyondRepair, closeLevel, isDamage, type Opened, openLevel, repair } from './level.ts';
import { type Contents, indexFixes, loadContents } from './load.ts';
import { isNoSpace, Reserve } from './reserve.ts';
import { keyOf, SCHEMA_KEY, SCHEMA_VERSION, TALLY_KEY } from './schema.ts';
import type { MetaKey, MetaTable, OpenOptions, OpenReport, Store } from './store.ts';
import { RecordTable } from './table.ts';
import { Containers, Images, Layers } from './tables.ts';
import type { Tally } from './tally.ts';
import { type Op, putOp, toBatch, Writer } from './writer.ts';

/**
 * Opens the store of a root, made when there is none.
 * @throws MydockerError `failed-precondition` (ROOT_IN_USE) when another server has it, (SCHEMA_TOO_NEW) when
 * a newer version made it; `data-loss` when it is beyond repair; `unavailable` when the disk refuses.
 */
export async function openStore(options: OpenOptions): Promise<Store> {
  const reserve = new Reserve(options.root);
  for (;;) {
    try {
      return await open(options, reserve);
    } catch (error) {
      // A server that does not start cannot remove anything either.
      if (!isNoSpace(error) || !reserve.release()) throw error;
    }
  }
}

async function open(options: OpenOptions, reserve: Reserve): Promise<Store> {
  const log = options.log ?? SILENT;
  await failpoint('store.open');
  const checkpoint = await readCheckpoint(options.root);
  if (checkpoint.damaged) log.warn({}, 'the metadata checkpoint is damaged; it is made anew');
  const location = `${options.root}/meta`;
  const { opened, contents } = await openAndLoad(location);
  try {
    refuseNewer(contents);
    const evidence = { ...opened, checkpoint: checkpoint.tally, repairedFrom: opened.repairedFrom };
    const reasons = suspicions(contents, evidence);
    const report = await recover(contents, evidence, reasons, options);
    if (reasons.length > 0) log.error({ ...report }, 'metadata was damaged');
    const fresh = contents.empty && checkpoint.tally === undefined;
    const tally = settledTally(contents, checkpoint.tally, options.highestSerial ?? 0n);
    if (fresh || reasons.length > 0)
      await opened.db.batch(settle(contents, tally).map(toBatch), { sync: true });
    // Version 2 only adds a table: what version 1 wrote is as good, but its server would not know the rest.
    else if (contents.schema !== SCHEMA_VERSION)
      await opened.db.batch([toBatch(putOp(SCHEMA_KEY, SCHEMA_VERSION))], { sync: true });
    const store = build(opened, contents, tally, {
      root: options.root,
      log,
      report,
      maxEvents: options.maxEvents,
      reserve,
    });
    reserve.refill();
    return store;
  } catch (error) {
    await closeLevel(location, opened.db);
    throw error;
  }
}

/** Opens and reads; a damaged file may show only when it is read, so this too ends in one repair. */
async function openAndLoad(location: string): Promise<{ opened: Opened; contents: Contents }> {
  const opened = await openLevel(location);
  try {
    return { opened, contents: await loadContents(opened.db) };
  } catch (error) {
    if (!isDamage(error) || opened.repairedFrom !== undefined) {
      await closeLevel(location, opened.db);
      throw unavailable('cannot read metadata: the disk refuses', {
        reason: 'STORE_UNREADABLE',
        cause: error,
      });
    }
    await opened.db.close();
    return await repairAndLoad(location, error);
  }
}

async function repairAndLoad(
  location: string,
  cause: unknown,
): Promise<{ opened: Opened; contents: Contents }> {
  const opened = await repair(location, cause);
  try {
    return { opened, contents: await loadContents(opened.db) };
  } catch (error) {
    await closeLevel(location, opened.db);
    throw beyondRepair(location, error);
  }
}

function refuseNewer(contents: Contents): void {
  if (contents.schema === undefined || contents.schema <= SCHEMA_VERSION) return;
  throw failedPrecondition(
    `cannot open metadata: its schema version ${contents.schema} is newer than ${SCHEMA_VERSION}, the newest this server knows`,
    { reason: 'SCHEMA_TOO_NEW', hint: 'use the version of mydocker that wrote it, or a newer one' },
  );
}

async function recover(
  contents: Contents,
  evidence: Parameters<typeof suspicions>[1],
  reasons: readonly string[],
  options: OpenOptions,
): Promise<OpenReport> {
  const onDisk = (await options.recoverable?.()) ?? [];
  const suspected = reasons.length > 0;
  const { rebuilt, orphans, unreadable } = rebuild(contents.records, onDisk, suspected);
  if (suspected) settleUnique(contents.records);
  const lost = suspected ? losses(contents, evidence.checkpoint, unreadable) : [];
  const { dropped, repairedFrom } = evidence;
  const report = { dropped, rebuilt, lost, orphans, ...(repairedFrom === undefined ? {} : { repairedFrom }) };
  return { ...report, reasons, damaged: suspected || isDamaged(report) };
}

/** Everything that makes the database agree with what is in memory. */
function settle(contents: Contents, tally: Tally): Op[] {
  return [
    ...contents.damagedKeys.map((key) => ({ key })),
    ...[...contents.records.container.values()].map((c) => putOp(keyOf('container', c.id), c)),
    ...[...contents.records.image.values()].map((i) => putOp(keyOf('image', i.id), i)),
    ...indexFixes(contents),
    putOp(SCHEMA_KEY, SCHEMA_VERSION),
    putOp(TALLY_KEY, tally),
  ];
}

interface Parts {
  readonly root: string;
  readonly log: Logger;
  readonly report: OpenReport;
  readonly maxEvents: number | undefined;
  readonly reserve: Reserve;
}

function build(opened: Opened, contents: Contents, tally: Tally, parts: Parts): Store {
  const { root, log, report } = parts;
  const events = new Events(tally.lastSeq, contents.firstSeq, parts.maxEvents ?? DEFAULT_MAX_EVENTS);
  const checkpointer = new Checkpointer(root, log);
  const writer = new Writer(opened.db, `${root}/meta`, tally, {
    publish: (event) => events.publish(event),
    durable: (durable, mutations) => checkpointer.note(durable, mutations),
    log,
    reserve: parts.reserve,
  });
  events.attach(writer);
  const { records } = contents;
  const containers = new Containers(writer);
  containers.load([...records.container.values()]);
  const images = new Images(writer);
  images.load([...records.image.values()]);
  const layers = new Layers(writer);
  layers.load([...records.layer.values()]);
  const blobs = new RecordTable<BlobRecord>({ name: 'blob', writer, idOf: (blob) => blob.digest });
  blobs.load([...records.blob.values()]);
  const volumes = new RecordTable<VolumeRecord>({ name: 'volume', writer, idOf: (volume) => volume.name });
  volumes.load([...records.volume.values()]);
  const networks = new RecordTable<NetworkRecord>({ name: 'network', writer, idOf: (network) => network.id });
  networks.load([...records.network.values()]);
  const close = async (): Promise<void> => {
    await writer.close();
    events.close();
    await checkpointer.close();
  };
  return {
    openReport: report,
    containers,
    images,
    layers,
    blobs,
    volumes,
    networks,
    events,
    meta: metaTable(contents.meta, writer),
    flush: () => writer.flush(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function metaTable(loaded: ReadonlyMap<string, string>, writer: Writer): MetaTable {
  const values = new Map(loaded);
  return {
    get: (key: MetaKey) => values.get(key),
    set: async (key: MetaKey, value: string) => {
      const before = values.get(key);
      if (before === value) return;
      const at = keyOf('meta', key);
      await writer.submit({
        ops: [putOp(at, value)],
        inverse: () => [before === undefined ? { key: at } : putOp(at, before)],
        deltas: [],
        sync: true,
        apply: () => values.set(key, value),
      });
    },
  };
}
