/**
 * Files without a name that can never change again: what a shim executes and what it reads is handed over
 * in one, so that nobody can alter it between the check and the use.
 *
 * WHY NOT node:fs: it has neither memfd_create nor seals.
 * SAFETY: synchronous, memory only, microseconds for the sizes used here.
 */
import { closeSync, writeSync } from 'node:fs';
import { calls, check, cString } from './libc.ts';

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const F_ADD_SEALS = 1033;
/** F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE */
const ALL_SEALS = 0xf;

const sysMemfdCreate = calls.func('int mydocker_memfd_create(const void *name, unsigned int flags)');
const sysFcntl = calls.func('int mydocker_fcntl(int fd, int command, long argument)');

/**
 * A sealed memfd that holds `bytes`; close-on-exec.
 * @param name - what /proc/PID/fd shows, at most 249 bytes.
 * @returns the descriptor, at the caller's disposal.
 * @throws SyscallError EMFILE, ENFILE, ENOMEM.
 */
export function sealedMemfd(name: string, bytes: Uint8Array): number {
  const cName = cString(name);
  const fd = check(sysMemfdCreate(cName, MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create', name);
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    check(sysFcntl(fd, F_ADD_SEALS, ALL_SEALS), 'fcntl F_ADD_SEALS', name);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
