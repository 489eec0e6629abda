/**
 * Opens the LevelDB folder and tells its failures apart: held by another server, damaged (repaired from a
 * kept copy), or not to be opened at all. Knows LevelDB's files; nothing else in the project does.
 */
import { cp, mkdir, open, readdir, readFile, stat } from 'node:fs/promises';
import { Level } from 'level';
import { isLockedByAnother } from '../../native/file-lock.ts';
import { dataLoss, failedPrecondition, type MydockerError, unavailable } from '../model/error.ts';
import { fenceOff, findTableDamage } from './table-damage.ts';

/** The database: text keys, text values. */
export type Database = Level<string, string>;

/** A database just opened, and what LevelDB said on the way. */
export interface Opened {
  readonly db: Database;
  /** Where the damaged folder was copied before it was repaired. */
  readonly repairedFrom?: string;
  /** Lines of LevelDB's log about data that it left out. */
  readonly dropped: string[];
}

/**
 * Folders open in this process. LevelDB would notice a second opening too, but closes the lock file then,
 * and with it gives up the lock that other processes see (fcntl(2): closing any descriptor of a file does).
 */
const openHere = new Set<string>();

/** All records are in memory anyway, so LevelDB's own caches can be small. */
const OPTIONS = { cacheSize: 1 << 20, writeBufferSize: 2 << 20, keyEncoding: 'utf8', valueEncoding: 'utf8' };
/** Most of LevelDB's log that is read; it says what it dropped at its beginning. */
const MAX_LOG_CHARS = 1 << 20;
const MAX_DROPPED_LINES = 20;

/**
 * Opens a database folder, made when missing.
 * @param location - absolute path.
 * @throws MydockerError `failed-precondition` when another process has it open; `data-loss` when it is
 * damaged beyond repair; `unavailable` when the disk refuses.
 */
export async function openLevel(location: string): Promise<Opened> {
  if (openHere.has(location)) throw inUse(undefined);
  openHere.add(location);
  try {
    return await openExclusively(location);
  } catch (error) {
    openHere.delete(location);
    throw error;
  }
}

/** Closes a database for good: from here on somebody else may open the folder. */
export async function closeLevel(location: string, db: Database): Promise<void> {
  await db.close();
  openHere.delete(location);
}

async function openExclusively(location: string): Promise<Opened> {
  await mkdir(location, { recursive: true, mode: 0o700 });
  // Without CURRENT LevelDB would start an empty database and delete the files of the old one.
  if (await lostItsHead(location)) return repair(location, new Error('the file CURRENT is missing'));
  const damaged = await findTableDamage(location);
  if (damaged.length > 0) {
    // It may be just half written: by the one who has the database open.
    if (await isOpenElsewhere(location)) throw inUse(undefined);
    return repair(location, new Error(`damaged: ${damaged.map(({ path }) => path).join(', ')}`));
  }
  const db = new Level<string, string>(location, OPTIONS);
  try {
    await db.open();
  } catch (error) {
    await db.close().catch(() => undefined);
    if (codeOf(error) === 'LEVEL_LOCKED') throw inUse(error);
    if (!isDamage(error)) throw refused(error);
    return repair(location, error);
  }
  return { db, dropped: await droppedLines(location) };
}

/** Opens a folder that this process had open a moment ago; no repair. */
export async function reopenLevel(location: string): Promise<Database> {
  const db = new Level<string, string>(location, OPTIONS);
  await db.open();
  return db;
}

/**
 * Copies a damaged folder aside, lets LevelDB save what it can, and opens the result.
 * @param cause - what made it necessary.
 */
export async function repair(location: string, cause: unknown): Promise<Opened> {
  const kept = `${location}.damaged-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`;
  try {
    await cp(location, kept, { recursive: true, errorOnExist: true, force: false });
    await fenceOff(await findTableDamage(location));
    await repairInPlace(location);
    const db = await reopenLevel(location);
    return { db, repairedFrom: kept, dropped: await droppedLines(location) };
  } catch (error) {
    openHere.delete(location);
    throw beyondRepair(location, new AggregateError([cause, error]));
  }
}

/** Whether an error of a read means that files are damaged, rather than that the disk is full or forbidden. */
export function isDamage(error: unknown): boolean {
  const code = codeOf(error);
  if (code === 'LEVEL_CORRUPTION') return true;
  const text = error instanceof Error ? `${error.message} ${messageOf(error.cause)}` : '';
  // A damaged index points anywhere, also to where pread(2) answers EINVAL.
  return code === 'LEVEL_IO_ERROR' && /No such file|Invalid argument|truncated block|sstable/.test(text);
}

async function repairInPlace(location: string): Promise<void> {
  // `level` re-exports the class of classic-level, whose types alone know of the static function.
  const { repair: run } = Level as unknown as { repair?: (location: string) => Promise<void> };
  if (run === undefined) throw new Error('this build of LevelDB cannot repair');
  await run.call(Level, location);
}

async function lostItsHead(location: string): Promise<boolean> {
  const names = await readdir(location);
  return !names.includes('CURRENT') && names.some((name) => /^MANIFEST-|\.(?:ldb|sst|log)$/.test(name));
}

async function isOpenElsewhere(location: string): Promise<boolean> {
  await using lock = await open(`${location}/LOCK`).catch(() => undefined);
  return lock !== undefined && isLockedByAnother(lock.fd);
}

async function droppedLines(location: string): Promise<string[]> {
  const path = `${location}/LOG`;
  if ((await stat(path).catch(() => undefined)) === undefined) return [];
  const text = (await readFile(path, 'utf8')).slice(0, MAX_LOG_CHARS);
  return text
    .split('\n')
    .filter((line) => line.includes('dropping'))
    .slice(0, MAX_DROPPED_LINES);
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  // abstract-level wraps the binding's error into LEVEL_DATABASE_NOT_OPEN.
  const inner = error.cause instanceof Error ? error.cause : error;
  return (inner as Error & { code?: string }).code ?? '';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : '';
}

function inUse(cause: unknown): MydockerError {
  return failedPrecondition('cannot open metadata: another server uses this root', {
    reason: 'ROOT_IN_USE',
    hint: 'stop the other mydockerd, or give this one another --root and --state',
    cause,
  });
}

/** The error for a database that even a repair did not make readable. */
export function beyondRepair(location: string, cause: unknown): MydockerError {
  return dataLoss('cannot open metadata: it is damaged and could not be repaired', {
    reason: 'METADATA_DAMAGED',
    hint: `restore ${location} from a backup, or move it away: containers come back from their folders, images have to be imported again`,
    cause,
  });
}

function refused(cause: unknown): MydockerError {
  return unavailable('cannot open metadata: the disk refuses', { reason: 'METADATA_UNAVAILABLE', cause });
}
