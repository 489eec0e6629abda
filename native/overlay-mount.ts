/**
 * An overlay that is mounted nowhere (fsopen, fsmount: in nobody's mount table, gone with its descriptor), and
 * the rename by which overlayfs hides files: to find out what a file system can carry.
 *
 * WHY NOT node:fs: it cannot mount, and its rename has no flags.
 * SAFETY: synchronous, some hundred microseconds; no mount namespace is changed; the buffers live in this
 * file's frames until each call is over.
 */
import { closeSync } from 'node:fs';
import { errnoName } from './errno.ts';
import { calls, check, cString } from './libc.ts';

/** Same numbers on x86-64 and arm64. */
const SYS = { fsopen: 430, fsconfig: 431, fsmount: 432 } as const;
const CLOEXEC = 1;
const FSCONFIG_SET_STRING = 1;
const FSCONFIG_CMD_CREATE = 6;
const RENAME_WHITEOUT = 4;

const sysFsopen = calls.func('long mydocker_syscall(long n, const void *type, long flags, long, long, long)');
const sysFsconfig = calls.func(
  'long mydocker_syscall(long n, long fd, long command, const void *key, const void *value, long extra)',
);
const sysFsmount = calls.func(
  'long mydocker_syscall(long n, long fd, long flags, long attributes, long, long)',
);
const sysRenameat2 = calls.func(
  'int mydocker_renameat2(int from, const void *name, int to, const void *other, unsigned int flags)',
);

/**
 * A detached overlay of three directories.
 * @returns a descriptor of its root; closing it ends the mount.
 * @throws SyscallError ENODEV where the kernel has no overlayfs, EINVAL where the file system cannot carry it.
 */
export function mountOverlay(dirs: { lower: number; upper: number; work: number }): number {
  const type = cString('overlay');
  const context = check(sysFsopen(SYS.fsopen, type, CLOEXEC, 0, 0, 0), 'fsopen', 'overlay');
  try {
    const options = { lowerdir: dirs.lower, upperdir: dirs.upper, workdir: dirs.work };
    for (const [option, fd] of Object.entries(options)) {
      const [key, value] = [cString(option), cString(`/proc/self/fd/${fd}`)];
      const set = sysFsconfig(SYS.fsconfig, context, FSCONFIG_SET_STRING, key, value, 0);
      check(set, 'fsconfig', option);
    }
    check(sysFsconfig(SYS.fsconfig, context, FSCONFIG_CMD_CREATE, null, null, 0), 'mount', 'overlay');
    return check(sysFsmount(SYS.fsmount, context, CLOEXEC, 0, 0, 0), 'fsmount', 'overlay');
  } finally {
    closeSync(context);
  }
}

/**
 * renameat2(2) with RENAME_WHITEOUT, within a directory.
 * @returns false where the file system does not have it.
 * @throws SyscallError for everything else.
 */
export function renameWithWhiteout(dirFd: number, name: string, other: string): boolean {
  const [from, to] = [cString(name), cString(other)];
  const result = sysRenameat2(dirFd, from, dirFd, to, RENAME_WHITEOUT) as number;
  if (['EINVAL', 'EPERM', 'ENOSYS', 'EOPNOTSUPP', 'ENOTSUP'].includes(errnoName(-result))) return false;
  check(result, 'renameat2', name);
  return true;
}
