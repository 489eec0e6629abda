/* The first half of a shim's life: execute the plan up to the point where the
 * child runs by itself. */
#define _GNU_SOURCE
#include "shim.h"

#include "scope.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct failure failed(int section, uint32_t index, int error) {
  return (struct failure){.section = section, .index = index, .error = error};
}

struct failure run_section(struct run *run, int section) {
  const struct plan_header *header = run->plan.header;
  uint32_t first = section == 0 ? 0 : header->section_end[section - 1];
  for (uint32_t i = first; i < header->section_end[section]; i++) {
    int result = step(run, &run->plan.ops[i]);
    if (result < 0)
      return failed(section, i - first, -result);
  }
  return failed(section, 0, 0);
}

/* Undoing goes on after an error: what is gone already is no error there. */
void after_exit(struct run *run, char **record_end, const char *record_limit) {
  const struct plan_header *header = run->plan.header;
  for (uint32_t i = header->section_end[CHILD]; i < header->op_count; i++) {
    const struct op *op = &run->plan.ops[i];
    char content[4096];
    if (op->code != OP_READ) {
      (void)step(run, op);
      continue;
    }
    ssize_t length = read_path(plan_str(&run->plan, op->s1), content, sizeof content);
    if (record_end == NULL || length < 0 || record_limit - *record_end < length + op->s2_len + 32)
      continue;
    *record_end = put_text(put_text(put_text(*record_end, "file "), plan_str(&run->plan, op->s2)), " ");
    *record_end = put_text(put_number(*record_end, (uint64_t)length), "\n");
    memcpy(*record_end, content, (size_t)length);
    *record_end += length;
  }
}

/* Takes one message of the server. @returns 0, -EPIPE when it is gone, or -ECANCELED when it wants the
 * process dead. */
static int take_message(struct run *run, struct message *message) {
  ssize_t got = recv(run->launch, message, sizeof *message, MSG_WAITALL);
  if (got != (ssize_t)sizeof *message)
    return -EPIPE;
  struct message reply = {.type = MSG_REPLY, .version = WIRE_VERSION, .seq = message->seq};
  switch (message->type) {
  case MSG_ANSWER:
    return 0;
  case MSG_SIGNAL:
    return -ECANCELED; /* nothing of the user's runs yet that could handle one */
  case MSG_COMMIT:
    run->committed = true;
    run->start = run->start || message->a != 0;
    return 0;
  case MSG_START:
    run->start = true;
    break;
  default:
    reply.a = EAGAIN; /* what it is about does not exist yet */
  }
  (void)send_message(run->launch, &reply);
  return 0;
}

/* Waits for the child's next note while the server may still give the start up.
 */
int await_note(struct run *run, uint32_t kind, struct note *note, int *fd) {
  int server = run->launch;
  for (;;) {
    struct pollfd polled[2] = {{.fd = run->sync, .events = POLLIN}, {.fd = server, .events = POLLIN}};
    if (poll(polled, 2, -1) < 0 && errno != EINTR)
      return -errno;
    struct message message;
    /* The server first: what it gave up shall not get any further. */
    if (polled[1].revents != 0) {
      int taken = take_message(run, &message);
      if (taken == -ECANCELED || (taken < 0 && !run->committed))
        return -ECANCELED;
      if (taken < 0)
        server = -1; /* it may be gone now: the next one will find this run */
      continue;
    }
    if (polled[0].revents == 0)
      continue;
    int got = recv_note(run->sync, note, fd);
    if (got <= 0)
      return got < 0 ? got : -EPIPE;
    if (note->kind == kind)
      return 0;
    if (note->kind == NOTE_FAIL)
      run->told = *note;
    if (note->kind != NOTE_ASK)
      return note->kind == NOTE_FAIL ? -EREMOTEIO : -EPROTO;
    int answer = await_answer(run, note->value);
    int sent = send_note(run->sync, (struct note){.kind = NOTE_GO, .value = -answer}, -1);
    if (sent < 0)
      return sent;
  }
}

/* @returns 0 or -errno as the server answered. */
int await_answer(struct run *run, int question) {
  struct message message = {.type = MSG_ASK, .version = WIRE_VERSION, .a = question};
  if (send_message(run->launch, &message) < 0)
    return -ECANCELED;
  do
    if (take_message(run, &message) < 0)
      return -ECANCELED;
  while (message.type != MSG_ANSWER);
  return -message.a;
}

/* execve(2) wants arrays of pointers; nothing may be allocated after the clone.
 */
static int prepare_exec(struct run *run) {
  const struct plan_header *header = run->plan.header;
  for (uint32_t i = header->section_end[PARENT_AFTER]; i < header->section_end[CHILD]; i++) {
    const struct op *op = &run->plan.ops[i];
    if (op->code != OP_EXEC)
      continue;
    size_t count = op->x + op->y + op->z + 3;
    char **all = mmap(NULL, count * sizeof *all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED)
      return -errno;
    const struct {
      char ***list;
      uint32_t offset;
      uint64_t count;
    } lists[] = {{&run->paths, op->s1, op->x}, {&run->argv, op->s2, op->y}, {&run->envp, op->s3, op->z}};
    for (size_t l = 0; l < 3; l++) {
      const char *text = plan_str(&run->plan, lists[l].offset);
      *lists[l].list = all;
      for (uint64_t n = 0; n < lists[l].count; n++, text += strlen(text) + 1)
        *all++ = (char *)(uintptr_t)text;
      *all++ = NULL;
    }
  }
  return 0;
}

_Noreturn void run_child(struct run *run) {
  /* The shim's ends of its connections must close when the shim dies, so they
   * are not kept here. */
  (void)close(run->launch);
  (void)close(run->sync);
  run->launch = -1;
  run->child = 0;
  /* Above the descriptors that the plan may connect (OP_DUP). */
  run->sync = fcntl(run->child_sync, F_DUPFD_CLOEXEC, 10);
  run->private_fds = 3;
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  (void)prctl(PR_SET_NAME, "mydocker:[init]");
  (void)signal(SIGCHLD, SIG_DFL);
  (void)signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  (void)sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, NULL);
  struct failure failure = run_section(run, CHILD);
  if (failure.error == 0)
    _exit(0); /* a plan without a program: what it does is done */
  struct note note = {.kind = NOTE_FAIL, .index = failure.index, .value = failure.error};
  (void)send_failure(run->sync, note);
  _exit(127);
}

/* A launcher has made some of the namespaces, and its child is not its own but the shim's. */
pid_t clone_child(const struct run *run) {
  const struct plan_header *header = run->plan.header;
  struct clone_args args = {.flags = header->clone_flags & ~run->launched_flags, .exit_signal = SIGCHLD};
  if (run->launcher > 0) {
    args.flags |= CLONE_PARENT;
    args.exit_signal = 0; /* the shim's launcher's own */
  }
  if (header->cgroup_slot != SLOT_NONE) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = (unsigned)fd_of(header->cgroup_slot);
  }
  pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
  return pid < 0 ? -errno : pid;
}

int make_sync(struct run *run) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
    return -errno;
  run->sync = ends[0];
  run->child_sync = ends[1];
  return 0;
}

/* Ends a child that was half born, and says with which step if it told. */
static struct failure give_up(struct run *run, struct failure failure) {
  struct note note;
  int fd;
  if (failure.error == EREMOTEIO || failure.error == EPIPE)
    failure = failed(FAILED_LAUNCH, LAUNCH_CHILD_GONE, failure.error);
  (void)kill(run->child, SIGKILL);
  while (run->told.kind == 0 && recv_note(run->sync, &note, &fd) > 0)
    if (note.kind == NOTE_FAIL)
      run->told = note;
  /* The child's own words are better than "the child failed". */
  if (run->told.kind == NOTE_FAIL)
    failure = failed(CHILD, run->told.index, run->told.value);
  (void)waitpid(run->child, NULL, 0);
  run->child = 0;
  return failure;
}

struct failure launch(struct run *run) {
  int result = prepare_exec(run);
  if (result == 0 && run->launcher == 0)
    result = make_sync(run);
  if (result < 0)
    return failed(FAILED_LAUNCH, LAUNCH_CLONE, -result);
  struct failure failure = run_section(run, PARENT_BEFORE);
  if (failure.error != 0)
    return failure;
  run->child = run->launcher > 0 ? clone_by_launcher(run) : clone_child(run);
  if (run->child < 0) {
    result = (int)run->child;
    run->child = 0;
    return failed(FAILED_LAUNCH, LAUNCH_CLONE, -result);
  }
  if (run->child == 0)
    run_child(run);
  (void)close(run->child_sync);
  failure = run_section(run, PARENT_AFTER);
  return failure.error == 0 ? failure : give_up(run, failure);
}
