/*
 * The process's standard input. What it does not take at once waits in one
 * buffer, and no client is read meanwhile: a process that reads nothing stops
 * its writers.
 */
#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { INPUT_MAX = 64 << 10 };

static int input_fd = -1;
static bool wide;
static char pending[INPUT_MAX];
static size_t pending_at, pending_end;

void input_open(int fd) { input_fd = fd; }

void input_close(void) {
  if (input_fd >= 0)
    (void)close(input_fd);
  input_fd = -1;
  pending_at = pending_end = 0;
}

/* @returns the descriptor to wait for while something waits to be taken, else
 * -1. */
int input_full(void) { return pending_at < pending_end ? input_fd : -1; }

/* At most INPUT_MAX bytes, and only while nothing waits. */
void input_feed(const char *bytes, size_t length) {
  if (input_fd < 0)
    return;
  ssize_t written = write(input_fd, bytes, length);
  if (written < 0 && errno != EAGAIN && errno != EINTR) {
    input_close();
    return;
  }
  size_t past = written < 0 ? 0 : (size_t)written;
  if (past < length && !wide) { /* a terminal or a pipe that is full */
    wide = true;
    (void)fcntl(input_fd, F_SETPIPE_SZ, PIPE_WIDE);
  }
  memcpy(pending, bytes + past, length - past);
  pending_at = 0;
  pending_end = length - past;
}

void input_flush(void) {
  ssize_t written = write(input_fd, pending + pending_at, pending_end - pending_at);
  if (written > 0)
    pending_at += (size_t)written;
  else if (errno != EAGAIN && errno != EINTR)
    input_close();
}
