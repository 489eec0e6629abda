/** Which storage drivers there are, which of them work here, and what is said of those that do not. */
import type { StorageDriver } from '../model/container.ts';
import { failedPrecondition, invalidArgument, quoteId } from '../model/error.ts';
import type { Backing } from './probe.ts';

/** The first is the default. */
const STORAGE_DRIVERS: readonly StorageDriver[] = ['overlay', 'vfs'];

/** Drivers of other programs, so that their users learn that they are not simply mistyped. */
const ELSEWHERE = ['aufs', 'btrfs', 'devicemapper', 'fuse-overlayfs', 'zfs'];

/** What a server has. */
export interface Storage {
  /** Of new containers that do not ask for one. */
  readonly driver: StorageDriver;
  /** Those that work on this root. */
  readonly working: readonly StorageDriver[];
  readonly backing: Backing;
}

/** Those that work on a backing file system. */
function workingDrivers(backing: Backing): readonly StorageDriver[] {
  return STORAGE_DRIVERS.filter((driver) => driver !== 'overlay' || backing.overlayError === undefined);
}

/**
 * The driver that a text names; `overlay2` is overlay's second version, the only one that there is today.
 * @param working - for the hint.
 * @throws MydockerError `invalid-argument` (STORAGE_DRIVER_UNKNOWN) for one that this server does not have.
 */
export function parseStorageDriver(text: string, working: readonly StorageDriver[]): StorageDriver {
  const name = text === 'overlay2' ? 'overlay' : text;
  const known = STORAGE_DRIVERS.find((driver) => driver === name);
  if (known !== undefined) return known;
  const why = ELSEWHERE.includes(text) ? 'this server does not have it' : 'there is no such driver';
  throw invalidArgument(`cannot use storage driver ${quoteId(text)}: ${why}`, {
    reason: 'STORAGE_DRIVER_UNKNOWN',
    hint: `those that work here: ${working.join(', ')}`,
    metadata: { driver: text, working: working.join(',') },
  });
}

/**
 * Chooses the driver of a server.
 * @param text - as given; undefined: the default.
 * @param where - the root folder and its file system, for the message.
 * @throws MydockerError `invalid-argument` as {@link parseStorageDriver}, `failed-precondition`
 * (STORAGE_DRIVER_UNSUPPORTED) for one that does not work on this root.
 */
export function chooseStorage(text: string | undefined, backing: Backing, where: string): Storage {
  const working = workingDrivers(backing);
  const driver = text === undefined ? 'overlay' : parseStorageDriver(text, working);
  if (!working.includes(driver)) throw unsupported(driver, working, backing, where);
  return { driver, working, backing };
}

/** Why a driver does not work, and what to do. */
export function unsupported(
  driver: StorageDriver,
  working: readonly StorageDriver[],
  { overlayError = '' }: Backing,
  where: string,
): Error {
  const why = overlayError === 'ENODEV' ? 'the kernel has no overlayfs' : `${where} cannot carry it`;
  return failedPrecondition(`cannot use storage driver ${driver}: ${why} (${overlayError})`, {
    reason: 'STORAGE_DRIVER_UNSUPPORTED',
    hint: `start mydockerd with -s ${working.join(' or ')}, or with --root on another file system`,
    metadata: { driver, working: working.join(','), errno: overlayError },
  });
}
