/* Executes one operation: files, and the meeting points of parent and child. */
#define _GNU_SOURCE
#include "shim.h"

#include "scope.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

/* Never above root, never through a magic link of procfs. The empty path is
 * root itself. */
int open_in_root(int root, const char *path, uint64_t flags, uint64_t mode) {
  struct open_how how = {
      .flags = flags | O_CLOEXEC, .mode = mode, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
  long fd = syscall(SYS_openat2, root, *path == '\0' ? "." : path, &how, sizeof how);
  return fd < 0 ? -errno : (int)fd;
}

static int make_in_root(const struct plan *plan, const struct op *op) {
  const char *path = plan_str(plan, op->s1);
  AUTO_FD opened = *path == '\0' ? -1 : open_in_root(fd_of(op->b), path, O_PATH | O_DIRECTORY, 0);
  if (*path != '\0' && opened < 0)
    return opened;
  int folder = *path == '\0' ? fd_of(op->b) : opened;
  const char *name = plan_str(plan, op->s2);
  mode_t mode = (mode_t)op->x;
  int result;
  if (op->code == OP_MKDIR_IN_ROOT)
    result = mkdirat(folder, name, mode);
  else if (op->code == OP_FILE_IN_ROOT)
    result = mknodat(folder, name, S_IFREG | mode, op->y);
  else if (op->code == OP_MKNOD_IN_ROOT)
    result = mknodat(folder, name, mode, (dev_t)op->y);
  else
    result = symlinkat(plan_str(plan, op->s3), folder, name);
  return result < 0 ? -errno : 0;
}

static int make_fifo(const struct plan *plan, const struct op *op) {
  const char *name = plan_str(plan, op->s2);
  if (mkfifoat(fd_of(op->b), name, (mode_t)op->x) < 0)
    return -errno;
  /* Both directions: the reader then never sees an end, only a byte. */
  return slot_set(op->a, openat(fd_of(op->b), name, O_RDWR | O_CLOEXEC));
}

static int make_pipe(const struct op *op) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0)
    return -errno;
  int result = slot_set(op->a, ends[0]);
  int other = slot_set(op->b, ends[1]);
  return result < 0 ? result : other;
}

static void pause_ms(long ms) {
  struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  (void)nanosleep(&time, NULL);
}

/* A cgroup stays busy for a moment after its last process was reaped. */
static int remove_folder(const char *path) {
  for (int tries = 0; tries < 200; tries++) {
    if (rmdir(path) == 0 || errno == ENOENT)
      return 0;
    if (errno != EBUSY)
      break;
    pause_ms(tries < 20 ? 1 : 10);
  }
  return -errno;
}

/* @returns length, at most size - 1, or -errno. */
static ssize_t list_pids(const char *folder, char *pids, size_t size) {
  char path[4096 + 32];
  if (strlen(folder) > 4096)
    return -ENAMETOOLONG;
  (void)put_text(put_text(path, folder), "/cgroup.procs");
  ssize_t length = read_path(path, pids, size - 1);
  if (length >= 0)
    pids[length] = '\0';
  return length;
}

static int kill_listed(const char *folder) {
  char pids[4096];
  ssize_t length = list_pids(folder, pids, sizeof pids);
  if (length < 0)
    return (int)length;
  int killed = 0;
  for (char *at = pids; *at != '\0';) {
    long pid = strtol(at, &at, 10);
    if (*at == '\0')
      break; /* the last one may have been cut off; the next round reads it
                whole */
    at++;
    killed += pid > 1 && kill((pid_t)pid, SIGKILL) == 0;
  }
  return killed;
}

/* Cgroup v1 has no kill file: frozen, nobody can fork away while the list is
 * read. Mostly nobody is left, and nobody comes of nothing. */
static int kill_cgroup(const char *folder) {
  char path[4096 + 32], pids[2];
  ssize_t length = list_pids(folder, pids, sizeof pids);
  if (length <= 0)
    return (int)length;
  (void)put_text(put_text(path, folder), "/freezer.state");
  int killed = 1;
  for (int rounds = 0; killed > 0 && rounds < 100; rounds++) {
    (void)write_path(AT_FDCWD, path, "FROZEN", 6);
    killed = kill_listed(folder);
    (void)write_path(AT_FDCWD, path, "THAWED", 6);
    if (killed > 0)
      pause_ms(1);
  }
  return killed < 0 ? killed : 0;
}

/* A folder of cgroup v1 does not give way by itself, as others do. */
static int rename_path(const char *from, const char *to) {
  if (rename(from, to) == 0 || (errno == EEXIST && rmdir(to) == 0 && rename(from, to) == 0))
    return 0;
  return -errno;
}

static int join(const struct run *run, const struct op *op) {
  char text[24];
  char *end = put_number(text, (uint64_t)run->child);
  return write_path(AT_FDCWD, plan_str(&run->plan, op->s1), text, (size_t)(end - text));
}

static int bpf_attach(const struct op *op) {
  union bpf_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.target_fd = (uint32_t)fd_of(op->a);
  attr.attach_bpf_fd = (uint32_t)fd_of(op->b);
  attr.attach_type = BPF_CGROUP_DEVICE;
  attr.attach_flags = BPF_F_ALLOW_MULTI;
  return syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof attr) < 0 ? -errno : 0;
}

/* In the child: say it and wait until the parent has done its part. */
static int meet(const struct run *run, struct note note) {
  int fd, sent = send_note(run->sync, note, -1);
  if (sent < 0)
    return sent;
  int got = recv_note(run->sync, &note, &fd);
  return got <= 0 ? (got < 0 ? got : -EPIPE) : -note.value;
}

static int step_meeting(struct run *run, const struct op *op) {
  struct note note = {.kind = op->code == OP_ASK ? NOTE_ASK : NOTE_BARRIER, .value = (int)op->x};
  int fd = -1;
  if (run->launch < 0 && run->child == 0)
    return meet(run, note);
  if (op->code == OP_ASK)
    return await_answer(run, (int)op->x);
  if (op->code == OP_BARRIER)
    prepare_hold(run); /* while the child is still at work */
  int got = await_note(run, op->code == OP_BARRIER ? NOTE_BARRIER : NOTE_SLOT, &note, &fd);
  if (got < 0)
    return got;
  if (op->code == OP_RECV_SLOT)
    return slot_set(op->a, fd);
  return send_note(run->sync, (struct note){.kind = NOTE_GO}, -1);
}

static int gate(struct run *run, const struct op *op) {
  char byte;
  int fifo = fd_of(op->a);
  int result = seclude(run, &fifo);
  if (result == 0)
    result = send_note(run->sync, (struct note){.kind = NOTE_READY}, -1);
  if (result < 0)
    return result;
  ssize_t got;
  do
    got = read(fifo, &byte, 1);
  while (got < 0 && errno == EINTR);
  return got < 0 ? -errno : 0;
}

static int step_file(struct run *run, const struct op *op) {
  const struct plan *plan = &run->plan;
  const char *s1 = plan_str(plan, op->s1);
  switch (op->code) {
  case OP_OPEN:
    return slot_set(op->a, open(s1, (int)op->x | O_CLOEXEC, (mode_t)op->y));
  case OP_OPEN_IN_ROOT: {
    int fd = open_in_root(fd_of(op->b), s1, op->x, op->y);
    return fd < 0 ? fd : slot_set(op->a, fd);
  }
  case OP_MKDIR:
    return mkdir(s1, (mode_t)op->x) < 0 ? -errno : 0;
  case OP_MKDIR_IN_ROOT:
  case OP_FILE_IN_ROOT:
  case OP_MKNOD_IN_ROOT:
  case OP_SYMLINK_IN_ROOT:
    return make_in_root(plan, op);
  case OP_MKFIFO:
    return make_fifo(plan, op);
  case OP_WRITE:
    return write_path(fd_of(op->a), s1, plan_str(plan, op->s2), op->s2_len);
  case OP_WRITE_SLOT:
    return write(fd_of(op->a), plan_str(plan, op->s2), op->s2_len) < 0 ? -errno : 0;
  case OP_PIPE:
    return make_pipe(op);
  case OP_CLOSE:
    return close(fd_of(op->a)) < 0 ? -errno : 0;
  case OP_RENAME:
    return rename_path(s1, plan_str(plan, op->s2));
  case OP_KILL_CGROUP:
    return kill_cgroup(s1);
  case OP_RMDIR:
    return remove_folder(s1);
  default:
    return step_process(run, op);
  }
}

static int step_any(struct run *run, const struct op *op) {
  switch (op->code) {
  case OP_BARRIER:
  case OP_ASK:
  case OP_RECV_SLOT:
    return step_meeting(run, op);
  case OP_SEND_SLOT:
    return send_note(run->sync, (struct note){.kind = NOTE_SLOT}, fd_of(op->a));
  case OP_GATE:
    return gate(run, op);
  case OP_JOIN:
    return join(run, op);
  case OP_BPF_ATTACH:
    return bpf_attach(op);
  case OP_READ:
    return 0; /* record.c reads it while it writes the exit record */
  case OP_MOUNT:
  case OP_BIND:
  case OP_TREE:
  case OP_PLACE:
  case OP_FS_OPEN:
  case OP_FS_CONFIG:
  case OP_FS_MOUNT:
  case OP_SETATTR:
  case OP_PROPAGATION:
  case OP_PIVOT:
    return step_mount(&run->plan, op);
  default:
    return step_file(run, op);
  }
}

int step(struct run *run, const struct op *op) {
  int result = step_any(run, op);
  if (result == -EEXIST && (op->flags & OP_EXISTS_OK))
    return 0;
  return op->flags & OP_IGNORE_ERRORS ? 0 : result;
}
