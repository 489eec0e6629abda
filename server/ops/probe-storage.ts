/** The storage of a server at its start: what the root's file system can carry, and which driver is used. */
import { statfsSync } from 'node:fs';
import { chooseStorage, type Storage } from '../snapshot/drivers.ts';
import { probeBacking } from '../snapshot/probe.ts';

/** Magic numbers of statfs(2). */
const FILESYSTEMS: Readonly<Record<number, string>> = {
  61267: 'ext4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  16914836: 'tmpfs',
  2035054128: 'overlay',
  801189825: 'zfs',
  4076150800: 'f2fs',
};

/** Name of the file system that a folder lies on: `ext4`. */
export function filesystemOf(path: string): string {
  const { type } = statfsSync(path);
  return FILESYSTEMS[type] ?? `0x${type.toString(16)}`;
}

/**
 * @param driver - as given; undefined: the default.
 * @throws MydockerError `invalid-argument` for a driver that this server does not have, `failed-precondition` for
 * one that does not work on this root; both say which do.
 */
export function probeStorage(root: string, driver: string | undefined): Storage {
  return chooseStorage(driver, probeBacking(root), `${root} on ${filesystemOf(root)}`);
}
