/* The two files that speak for a shim when nobody listens: `state` while it
 * lives, `exit` afterwards. */
#define _GNU_SOURCE
#include "shim.h"

#include "scope.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* Complete before it has its name; and on the disk before that, if asked. */
static int write_file(int folder, const char *name, const char *temporary, const char *bytes, size_t length,
                      bool durable) {
  AUTO_FD fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0)
    return -errno;
  int result = write_all(fd, bytes, length);
  if (result < 0)
    return result;
  if ((durable && fsync(fd) < 0) || renameat(folder, temporary, folder, name) < 0 ||
      (durable && fsync(folder) < 0))
    return -errno;
  return 0;
}

static char *put_line(char *at, const char *key, uint64_t value) {
  return put_text(put_number(put_text(put_text(at, key), " "), value), "\n");
}

/* `head` is written by the server into the plan: format version, container,
 * run, boot. */
static char *put_head(const struct run *run, char *at, size_t size) {
  const struct plan_header *header = run->plan.header;
  *at = '\0';
  return header->head_len > size / 2 ? at : put_text(at, plan_str(&run->plan, header->head));
}

/* Not synced: after a power cut nobody has a use for it. */
int write_state(const struct run *run, const struct message *created) {
  char text[4096];
  char *at = put_head(run, text, sizeof text);
  at = put_line(at, "shim_pid", (uint64_t)created->b);
  at = put_line(at, "shim_start", created->y);
  at = put_line(at, "init_pid", (uint64_t)created->a);
  at = put_line(at, "init_start", created->x);
  return write_file(fd_of(run->plan.header->run_slot), "state", ".state", text, (size_t)(at - text), false);
}

/* Runs the after-exit section: what that section reads belongs into the record.
 */
int write_exit_record(struct run *run, int code, int signal, const struct failure *failure) {
  static char text[64 << 10];
  char *at = put_head(run, text, sizeof text);
  at = put_line(at, "exit_code", (uint64_t)code);
  at = put_line(at, "signal", (uint64_t)signal);
  at = put_line(at, "exited_at", now_ns());
  at = put_line(at, "log_serial", log_position().serial);
  at = put_line(at, "log_offset", log_position().offset);
  if (failure->error != 0) {
    at = put_line(at, "failed_section", (uint64_t)failure->section);
    at = put_line(at, "failed_index", failure->index);
    at = put_line(at, "failed_errno", (uint64_t)failure->error);
  }
  after_exit(run, &at, text + sizeof text);
  return write_file(fd_of(run->plan.header->run_slot), "exit", ".exit", text, (size_t)(at - text), true);
}
