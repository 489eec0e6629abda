/*
 * The system calls that the server makes beside Node's, each answering its result or -errno. errno itself
 * cannot be asked for afterwards: between a call from JavaScript and the next one V8 may wait for its
 * threads, and leaves the EAGAIN of a futex there.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Defines mydocker_NAME with the parameters and the results of NAME(2). */
#define CALL(type, name, parameters, arguments)                                                              \
  type mydocker_##name parameters;                                                                           \
  type mydocker_##name parameters {                                                                          \
    type result = name arguments;                                                                            \
    return result == -1 ? -errno : result;                                                                   \
  }

CALL(int, mkdirat, (int fd, const char *name, mode_t mode), (fd, name, mode))
CALL(int, symlinkat, (const char *target, int fd, const char *name), (target, fd, name))
CALL(int, linkat, (int from, const char *old, int to, const char *name, int flags),
     (from, old, to, name, flags))
CALL(int, mknodat, (int fd, const char *name, mode_t mode, uint64_t device), (fd, name, mode, device))
CALL(int, unlinkat, (int fd, const char *name, int flags), (fd, name, flags))
CALL(int, renameat2, (int from, const char *old, int to, const char *name, unsigned int flags),
     (from, old, to, name, flags))
CALL(int, fchownat, (int fd, const char *name, uid_t uid, gid_t gid, int flags), (fd, name, uid, gid, flags))
CALL(int, fchmodat, (int fd, const char *name, mode_t mode, int flags), (fd, name, mode, flags))
CALL(int, fchown, (int fd, uid_t uid, gid_t gid), (fd, uid, gid))
CALL(int, fchmod, (int fd, mode_t mode), (fd, mode))
CALL(int, utimensat, (int fd, const char *name, const struct timespec times[2], int flags),
     (fd, name, times, flags))
CALL(int, futimens, (int fd, const struct timespec times[2]), (fd, times))
CALL(int, ftruncate, (int fd, int64_t size), (fd, size))
CALL(int, syncfs, (int fd), (fd))
CALL(int, statx, (int fd, const char *name, int flags, unsigned int mask, struct statx *out),
     (fd, name, flags, mask, out))
CALL(int64_t, readlinkat, (int fd, const char *name, char *out, size_t size), (fd, name, out, size))
CALL(int64_t, getdents64, (int fd, void *out, size_t size), (fd, out, size))
CALL(int64_t, lseek, (int fd, int64_t offset, int whence), (fd, offset, whence))
CALL(int64_t, copy_file_range,
     (int from, int64_t *from_at, int to, int64_t *to_at, size_t size, unsigned int flags),
     (from, from_at, to, to_at, size, flags))
CALL(int64_t, fgetxattr, (int fd, const char *name, void *value, size_t size), (fd, name, value, size))
CALL(int64_t, flistxattr, (int fd, char *list, size_t size), (fd, list, size))
CALL(int, fsetxattr, (int fd, const char *name, const void *value, size_t size, int flags),
     (fd, name, value, size, flags))
CALL(int, ioctl, (int fd, unsigned long request, int argument), (fd, request, argument))
CALL(int, fcntl, (int fd, int command, void *argument), (fd, command, argument))
CALL(int, pipe2, (int ends[2], int flags), (ends, flags))
CALL(int, memfd_create, (const char *name, unsigned int flags), (name, flags))
CALL(int, socket, (int domain, int type, int protocol), (domain, type, protocol))
CALL(int, socketpair, (int domain, int type, int protocol, int ends[2]), (domain, type, protocol, ends))
CALL(int64_t, sendto,
     (int fd, const void *bytes, size_t length, int flags, const struct sockaddr *to, socklen_t size),
     (fd, bytes, length, flags, to, size))
CALL(int, setsockopt, (int fd, int level, int option, const void *value, socklen_t length),
     (fd, level, option, value, length))
CALL(int64_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
CALL(int64_t, send, (int fd, const void *bytes, size_t length, int flags), (fd, bytes, length, flags))
CALL(int64_t, recv, (int fd, void *bytes, size_t length, int flags), (fd, bytes, length, flags))

/* For those that the C library has no function for; what a call does not take is not looked at. */
CALL(long, syscall, (long number, long a, long b, long c, long d, long e), (number, a, b, c, d, e))
