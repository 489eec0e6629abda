/*
 * A start whose slow parts are done ahead. The shim is there before its plan,
 * and beside it a launcher: a process that has the namespaces and the groups of
 * a container to be, and waits. With the plan of a start it clones the
 * container's process as the shim's child, and ends.
 *
 * Shim and launcher share memory and descriptors, so that there is nothing to
 * hand over. Never both work: the one waits for the other.
 *
 * No mount namespace is made ahead: it would hold the host's mounts.
 */
#define _GNU_SOURCE
#include "shim.h"

#include "scope.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { STACK_SIZE = 128 << 10 };

/* What undoes the parking. */
static struct plan parked;
static pid_t shim_pid;

/* In the launcher. Its child goes on with a copy of this stack. */
static int launcher_main(void *argument) {
  struct run *run = argument;
  struct note note = {.kind = NOTE_READY};
  int fd;
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  (void)prctl(PR_SET_NAME, "mydocker:[wait]");
  if (getppid() != shim_pid)
    return 1;
  struct failure failure = run_section(run, CHILD);
  if (failure.error != 0)
    note = (struct note){.kind = NOTE_FAIL, .index = failure.index, .value = failure.error};
  if (send_note(run->child_sync, note, -1) < 0 || recv_note(run->child_sync, &note, &fd) <= 0)
    return 1;
  pid_t pid = clone_child(run);
  if (pid == 0)
    run_child(run);
  run->child = pid;
  return 0;
}

static int make_launcher(struct run *run, int *pidfd) {
  char *stack =
      mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  int result = stack == MAP_FAILED ? -errno : make_sync(run);
  if (result < 0)
    return result;
  shim_pid = getpid();
  run->launched_flags = run->plan.header->clone_flags;
  int flags = CLONE_VM | CLONE_FILES | CLONE_PIDFD | SIGCHLD;
  run->launcher =
      clone(launcher_main, stack + STACK_SIZE, flags | (int)(uint32_t)run->launched_flags, run, pidfd);
  return run->launcher < 0 ? -errno : 0;
}

/* @returns whether something has come while the launcher is there. */
static bool await(int fd, int pidfd) {
  struct pollfd polled[2] = {{.fd = pidfd, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
  while (poll(polled, 2, -1) < 0)
    if (errno != EINTR)
      return false;
  return polled[0].revents == 0;
}

static int park_and_wait(struct run *run, struct failure *failure) {
  AUTO_FD pidfd = -1;
  int descriptors[DESCRIPTORS_MAX];
  int result = make_launcher(run, &pidfd);
  if (result < 0)
    return result;
  struct note note;
  int fd;
  if (!await(run->sync, pidfd) || recv_note(run->sync, &note, &fd) <= 0)
    return -ECHILD;
  if (note.kind == NOTE_FAIL) {
    *failure = failed(CHILD, note.index, note.value);
    return -note.value;
  }
  run->child = run->launcher; /* the one that joins */
  *failure = run_section(run, PARENT_AFTER);
  run->child = 0;
  if (failure->error != 0)
    return -failure->error;
  struct message ready = {.type = MSG_PARKED,
                          .version = WIRE_VERSION,
                          .a = run->launcher,
                          .b = shim_pid,
                          .x = process_start_time(run->launcher),
                          .y = process_start_time(shim_pid)};
  if (send_message(run->launch, &ready) < 0)
    return -ECANCELED;
  (void)prctl(PR_SET_NAME, "mydocker-parked");
  if (!await(run->launch, pidfd))
    return -ECANCELED;
  int count = receive(run->launch, descriptors);
  if (count < 1)
    return -ECANCELED;
  result = take_plan(run, descriptors[0], descriptors + 1, count - 1);
  if (result == 0 && run->launched_flags & ~run->plan.header->clone_flags)
    result = -EINVAL;
  return result;
}

/* @returns whether there is a plan to be launched, else why not. */
bool park(struct run *run, struct failure *failure) {
  parked = run->plan;
  int result = park_and_wait(run, failure);
  if (result < 0 && failure->error == 0)
    *failure = failed(FAILED_LAUNCH, LAUNCH_PLAN, -result);
  return result == 0;
}

/* @returns the child of a launcher that is gone then, or -errno. */
pid_t clone_by_launcher(struct run *run) {
  run->child = -ECHILD; /* unless the launcher says otherwise */
  int result = send_note(run->sync, (struct note){.kind = NOTE_GO}, -1);
  if (result < 0)
    return result;
  while (waitpid(run->launcher, NULL, 0) < 0 && errno == EINTR)
    ;
  run->launcher = 0;
  return run->child;
}

/* What was made ahead and is not the container's goes. */
void unpark(struct run *run) {
  if (run->launcher > 0) {
    (void)kill(run->launcher, SIGKILL);
    (void)waitpid(run->launcher, NULL, 0);
    run->launcher = 0;
  }
  run->plan = parked;
  after_exit(run, NULL, NULL);
}
