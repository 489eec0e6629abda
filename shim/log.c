/*
 * The container's output on disk, in the format of the Kubernetes CRI, one line
 * each: 2026-11-22T03:13:00.123456789Z stdout F text      (F: whole line, P:
 * part, the rest follows) Files are named by a serial, %08u.log, and never
 * renamed: (serial, offset) names a place for ever. A full disk loses lines,
 * never the container.
 */
#define _GNU_SOURCE
#include "shim.h"

#include "scope.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static struct {
  int folder, fd;
  uint32_t serial, max_files;
  uint64_t offset, max_bytes;
} log_file = {.folder = -1, .fd = -1};

static char out[160 << 10];
static size_t out_length;

static void log_name(char *name, uint32_t serial) {
  for (int i = 7; i >= 0; i--, serial /= 10)
    name[i] = (char)('0' + serial % 10);
  (void)put_text(name + 8, ".log");
}

static int open_serial(uint32_t serial) {
  char name[16];
  struct stat stat;
  log_name(name, serial);
  int fd = openat(log_file.folder, name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || fstat(fd, &stat) < 0)
    return -errno;
  if (log_file.fd >= 0)
    (void)close(log_file.fd);
  log_file.fd = fd;
  log_file.serial = serial;
  log_file.offset = (uint64_t)stat.st_size;
  return 0;
}

int log_open(const struct plan_header *header) {
  if (header->log_slot == SLOT_NONE)
    return 0;
  log_file.folder = fd_of(header->log_slot);
  log_file.max_files = header->log_max_files;
  log_file.max_bytes = header->log_max_bytes;
  return open_serial(header->log_serial);
}

/* Someone moved the file away (as a kubelet that rotates itself does). */
int log_reopen(void) { return log_file.folder < 0 ? -ENOENT : open_serial(log_file.serial); }

struct log_position log_position(void) {
  return (struct log_position){.serial = log_file.serial, .offset = log_file.offset};
}

static void rotate(void) {
  char name[16];
  if (log_file.max_bytes == 0 || log_file.offset < log_file.max_bytes || open_serial(log_file.serial + 1) < 0)
    return;
  if (log_file.max_files == 0 || log_file.serial <= log_file.max_files)
    return;
  log_name(name, log_file.serial - log_file.max_files - 1);
  (void)unlinkat(log_file.folder, name, 0);
}

/* A record that was cut short would run into the next one. */
static void drop_torn(const char *end) {
  uint64_t torn = 0;
  while (end > out && end[-1] != '\n')
    end--, torn++;
  if (torn > 0 && ftruncate(log_file.fd, (off_t)(log_file.offset - torn)) == 0)
    log_file.offset -= torn;
}

static void flush(void) {
  const char *at = out;
  while (out_length > 0) {
    ssize_t written = write(log_file.fd, at, out_length);
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0) { /* no room: these lines are lost */
      drop_torn(at);
      break;
    }
    at += written;
    out_length -= (size_t)written;
    log_file.offset += (uint64_t)written;
  }
  out_length = 0;
}

static void put_digits(char *at, int width, uint64_t number) {
  for (int i = width - 1; i >= 0; i--, number /= 10)
    at[i] = (char)('0' + number % 10);
}

/* "2026-11-22T03:13:00.123456789Z stdout " for all lines of one read. The date
 * changes once a second. */
static size_t stamp(char *at, bool is_stderr) {
  static time_t last = -1;
  static char date[21] = "0000-00-00T00:00:00.";
  struct timespec now;
  struct tm tm;
  (void)clock_gettime(CLOCK_REALTIME, &now);
  if (now.tv_sec != last && gmtime_r(&now.tv_sec, &tm) != NULL) {
    put_digits(date, 4, (uint64_t)tm.tm_year + 1900);
    put_digits(date + 5, 2, (uint64_t)tm.tm_mon + 1);
    put_digits(date + 8, 2, (uint64_t)tm.tm_mday);
    put_digits(date + 11, 2, (uint64_t)tm.tm_hour);
    put_digits(date + 14, 2, (uint64_t)tm.tm_min);
    put_digits(date + 17, 2, (uint64_t)tm.tm_sec);
    last = now.tv_sec;
  }
  memcpy(at, date, 20);
  put_digits(at + 20, 9, (uint64_t)now.tv_nsec);
  memcpy(at + 29, is_stderr ? "Z stderr " : "Z stdout ", 9);
  return 38;
}

void log_write(bool is_stderr, const char *bytes, size_t length) {
  char head[64];
  if (log_file.fd < 0 || length == 0)
    return;
  size_t head_length = stamp(head, is_stderr);
  const char *end = bytes + length;
  while (bytes < end) {
    const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
    size_t text = newline == NULL ? (size_t)(end - bytes) : (size_t)(newline - bytes);
    if (out_length + head_length + text + 3 > sizeof out)
      flush();
    memcpy(out + out_length, head, head_length);
    out_length += head_length;
    memcpy(out + out_length, newline == NULL ? "P " : "F ", 2);
    memcpy(out + out_length + 2, bytes, text);
    out_length += text + 2;
    out[out_length++] = '\n';
    bytes += text + 1;
  }
  flush();
  rotate();
}
