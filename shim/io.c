/* Small kernel conversations that several parts of the shim need. */
#define _GNU_SOURCE
#include "shim.h"

#include "scope.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

int fd_of(uint16_t slot) { return slot == SLOT_NONE ? -1 : SLOT_BASE + slot; }

int slot_set(uint16_t slot, int fd) {
  if (fd < 0)
    return -errno;
  int moved = dup3(fd, fd_of(slot), O_CLOEXEC);
  int error = errno;
  (void)close(fd);
  return moved < 0 ? -error : 0;
}

int write_all(int fd, const void *bytes, size_t length) {
  const char *at = bytes;
  while (length > 0) {
    ssize_t written = write(fd, at, length);
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return -errno;
    at += written;
    length -= (size_t)written;
  }
  return 0;
}

/* Files of the kernel take a value in one write or not at all. */
int write_path(int folder, const char *path, const void *bytes, size_t length) {
  AUTO_FD fd = openat(folder, path, O_WRONLY | O_CLOEXEC);
  if (fd < 0)
    return -errno;
  return write(fd, bytes, length) < 0 ? -errno : 0;
}

ssize_t read_path(const char *path, char *buffer, size_t size) {
  AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return -errno;
  size_t have = 0;
  while (have < size) {
    ssize_t got = read(fd, buffer + have, size - have);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return -errno;
    if (got == 0)
      break;
    have += (size_t)got;
  }
  return (ssize_t)have;
}

char *put_text(char *at, const char *text) {
  size_t length = strlen(text);
  memcpy(at, text, length + 1);
  return at + length;
}

char *put_number(char *at, uint64_t number) {
  char digits[20];
  int n = 0;
  do
    digits[n++] = (char)('0' + number % 10);
  while ((number /= 10) > 0);
  while (n > 0)
    *at++ = digits[--n];
  *at = '\0';
  return at;
}

uint64_t now_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Field 22 of /proc/PID/stat, in clock ticks since boot: with it a pid names
 * one process for ever. */
uint64_t process_start_time(pid_t pid) {
  char path[32], stat[1024];
  (void)put_text(put_number(put_text(path, "/proc/"), (uint64_t)pid), "/stat");
  ssize_t length = read_path(path, stat, sizeof stat - 1);
  if (length < 0)
    return 0;
  stat[length] = '\0';
  const char *at = strrchr(stat, ')'); /* the name before it may hold spaces and brackets */
  for (int spaces = 0; at != NULL && spaces < 20; spaces++)
    at = strchr(at + 1, ' ');
  uint64_t ticks = 0;
  for (at = at == NULL ? "" : at + 1; *at >= '0' && *at <= '9'; at++)
    ticks = ticks * 10 + (uint64_t)(*at - '0');
  return ticks;
}

/* A record is far smaller than a socket's buffer: it goes whole or the reader
 * is not reading. */
int send_message(int fd, const struct message *message) {
  ssize_t sent = send(fd, message, sizeof *message, MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent == (ssize_t)sizeof *message ? 0 : -1;
}

int send_note(int sync, struct note note, int fd) {
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec part = {.iov_base = &note, .iov_len = sizeof note};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (fd >= 0) {
    memset(&control, 0, sizeof control);
    message.msg_control = &control;
    message.msg_controllen = sizeof control.space;
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
  }
  return sendmsg(sync, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* @returns 1 for a note, 0 at the end (every holder of the other end is gone or
 * has exec'ed), -errno. */
int recv_note(int sync, struct note *note, int *fd) {
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec parts[] = {{.iov_base = note, .iov_len = sizeof *note},
                          {.iov_base = &found, .iov_len = sizeof found}};
  struct msghdr message = {
      .msg_iov = parts, .msg_iovlen = 2, .msg_control = &control, .msg_controllen = sizeof control.space};
  ssize_t got;
  do
    got = recvmsg(sync, &message, MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  if (got < 0)
    return errno == ECONNRESET ? 0 : -errno;
  if (got == 0)
    return 0;
  *fd = -1;
  const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header != NULL && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int)))
    memcpy(fd, CMSG_DATA(header), sizeof *fd);
  return got == (ssize_t)sizeof *note || got == (ssize_t)(sizeof *note + found_size()) ? 1 : -EPROTO;
}
