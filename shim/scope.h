/* Ownership by scope: what a function opened is closed however it is left.
 * errno survives. */
#pragma once
#include <errno.h>
#include <unistd.h>

static inline void scope_close(const int *fd) {
  int saved = errno;
  if (*fd >= 0)
    (void)close(*fd); /* never retried: on Linux the descriptor is gone even
                         after EINTR */
  errno = saved;
}
#define AUTO_FD __attribute__((cleanup(scope_close))) int

/* Hands the descriptor over: the scope forgets it. */
static inline int fd_take(int *fd) {
  int taken = *fd;
  *fd = -1;
  return taken;
}
