/**
 * Files without a name that can never change again: what a shim executes and what it reads is handed over
 * in one, so that nobody can alter it between the check and the use.
 *
 * WHY NOT node:fs: it has neither memfd_create nor seals.
 * SAFETY: synchronous, memory only, microseconds for the sizes used here.
 */
import { closeSync, writeSync } from 'node:fs';
import { SyscallError } from './errno.ts';
import { cString, lastErrno, libc } from './libc.ts';

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const F_ADD_SEALS = 1033;
/** F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE */
const ALL_SEALS = 0xf;

const sysMemfdCreate = libc.func('int memfd_create(const void *name, unsigned int flags)');
const sysFcntl = libc.func('int fcntl(int fd, int cmd, int argument)');

/**
 * A sealed memfd that holds `bytes`; close-on-exec.
 * @param name - what /proc/PID/fd shows, at most 249 bytes.
 * @returns the descriptor, at the caller's disposal.
 * @throws SyscallError EMFILE, ENFILE, ENOMEM.
 */
export function sealedMemfd(name: string, bytes: Uint8Array): number {
  const cName = cString(name);
  const fd = sysMemfdCreate(cName, MFD_CLOEXEC | MFD_ALLOW_SEALING) as number;
  if (fd < 0) throw new SyscallError('memfd_create', lastErrno(), name);
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    if ((sysFcntl(fd, F_ADD_SEALS, ALL_SEALS) as number) < 0)
      throw new SyscallError('fcntl F_ADD_SEALS', lastErrno(), name);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
