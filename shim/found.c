/* Why a program could not be executed: what is there instead, told to the server, which makes words of it. */
#define _GNU_SOURCE
#include "shim.h"

#include "scope.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

struct found found;

size_t found_size(void) {
  size_t length = found.length <= FOUND_HEAD_MAX ? found.length : FOUND_HEAD_MAX;
  return offsetof(struct found, head) + length;
}

static void take_stat(int path, const struct stat *stat) {
  found.path = path;
  found.mode = stat->st_mode;
  found.uid = stat->st_uid;
  found.gid = stat->st_gid;
}

static void take_head(ssize_t got) {
  found.length = got > 0 ? (uint32_t)got : 0;
  found.flags |= got < 0 ? 0 : FOUND_READ;
}

static void read_head(const char *path) {
  AUTO_FD fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  take_head(fd < 0 ? -1 : read(fd, found.head, sizeof found.head));
}

/*
 * The first file along the paths, or else the first of whatever else is there.
 * It runs where the program would have run and may do what that one might have
 * done: no path leads out, and nothing is seen that the user must not see.
 */
void look_for_program(char **paths) {
  struct stat stat;
  found.flags = FOUND_LOOKED;
  found.path = -1;
  for (int i = 0; paths[i] != NULL && !(found.path >= 0 && S_ISREG(found.mode)); i++) {
    if (lstat(paths[i], &stat) < 0)
      continue;
    bool whole = fstatat(AT_FDCWD, paths[i], &stat, 0) == 0;
    if (found.path < 0 || (whole && S_ISREG(stat.st_mode)))
      take_stat(i, &stat);
  }
  if (found.path < 0)
    return;
  const char *path = paths[found.path];
  struct statvfs mount;
  if (statvfs(path, &mount) == 0 && (mount.f_flag & ST_NOEXEC))
    found.flags |= FOUND_NOEXEC;
  if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0)
    found.flags |= FOUND_MAY_EXECUTE;
  if (S_ISLNK(found.mode))
    take_head(readlink(path, found.head, sizeof found.head));
  else if (S_ISREG(found.mode))
    read_head(path);
}

/* The child's last words. */
int send_failure(int sync, struct note note) {
  struct iovec parts[] = {{.iov_base = &note, .iov_len = sizeof note},
                          {.iov_base = &found, .iov_len = found_size()}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = found.flags == 0 ? 1 : 2};
  return sendmsg(sync, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* The shim's; a server that does not read them is not waited for. */
int report_failure(int fd, const struct failure *failure) {
  struct message record = {.type = MSG_FAILED,
                           .version = WIRE_VERSION,
                           .a = failure->section,
                           .b = (int)failure->index,
                           .x = (uint64_t)failure->error,
                           .y = found.flags == 0 ? 0 : found_size()};
  struct iovec parts[] = {{.iov_base = &record, .iov_len = sizeof record},
                          {.iov_base = &found, .iov_len = (size_t)record.y}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -1 : 0;
}
