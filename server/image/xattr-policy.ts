/**
 * Which extended attributes of an archive reach the disk. An allow list: attributes steer overlayfs and
 * the host's security modules, and those are not an archive's to steer.
 */
import { SyscallError } from '../../native/errno.ts';
import { setXattrFd } from '../../native/tree-write.ts';

/** An attribute; the name's bytes as latin1. */
export type Xattr = readonly [name: string, value: Buffer];

/** Attributes by which overlayfs is controlled when it runs without privileges. */
const OVERLAY_CONTROL = /^user\.overlay\./;

const KEPT = /^(?:user\..+|security\.capability|system\.posix_acl_(?:access|default))$/s;

/**
 * Attributes that are kept: user.*, file capabilities and ACLs. All others are dropped: trusted.*, and
 * labels of SELinux, IMA and the like, which belong to the machine that made the archive.
 */
export function keptXattrs(xattrs: ReadonlyMap<string, Buffer>): readonly Xattr[] {
  return xattrs.size === 0 ? NONE : [...xattrs].filter(([name]) => isKeptXattr(name));
}

const NONE: readonly Xattr[] = [];

/** Whether an attribute is kept, see {@link keptXattrs}. */
export function isKeptXattr(name: string): boolean {
  return KEPT.test(name) && !OVERLAY_CONTROL.test(name);
}

/**
 * Sets attributes of an open file. Where the file system has no user.* attributes they are left out: files
 * mean the same without. A file capability or an ACL that cannot be set is an error.
 * @throws SyscallError
 */
export function setXattrs(fd: number, xattrs: readonly Xattr[]): void {
  for (const [name, value] of xattrs) {
    try {
      setXattrFd(fd, Buffer.from(name, 'latin1'), value);
    } catch (error) {
      const lacking = error instanceof SyscallError && error.errno === 'ENOTSUP';
      if (!lacking || !name.startsWith('user.')) throw error;
    }
  }
}
