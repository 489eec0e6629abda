/*
 * The second half of a shim's life: one poll loop that relays stdio, answers
 * the server, and waits for the end. After the loop began nothing but that end
 * (or, before the commit, the server's) finishes it.
 */
#define _GNU_SOURCE
#include "hold.h"

#include "scope.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

enum { LOG_CHUNK = 64 << 10, DRAIN_MS = 10000 };
enum { AT_SIGNAL, AT_SYNC, AT_CONTROL, AT_ATTACH, AT_STDOUT, AT_STDERR, AT_CONTROLS };

static struct holder self;
/* An errno: why it cannot hold its child. */
static int unprepared;

/* Once, as soon as the process that will run is known. */
static void keep_state(void) {
  if (self.known.type == MSG_CREATED)
    return;
  self.known = (struct message){.type = MSG_CREATED,
                                .version = WIRE_VERSION,
                                .a = self.run->child,
                                .b = getpid(),
                                .x = process_start_time(self.run->child),
                                .y = process_start_time(getpid())};
  if (self.run->plan.header->flags & PLAN_HOLD)
    (void)write_state(self.run, &self.known);
}

static void created(void) {
  if (self.created)
    return;
  self.created = true;
  keep_state();
  say(&self, &self.known);
}

/* Said wherever the end of the conversation with the child was seen. */
static void started(void) {
  struct message message = {.type = MSG_STARTED, .version = WIRE_VERSION, .a = self.run->child};
  say(&self, &message);
}

static void take_note(void) {
  struct note note;
  int fd;
  int got = recv_note(self.run->sync, &note, &fd);
  if (got > 0 && note.kind == NOTE_READY) {
    self.run->ready = true;
    open_gate(&self); /* nobody has to hear of it first */
    created();
  } else if (got > 0 && note.kind == NOTE_RESPAWN) {
    self.run->child = note.value;
    created();
  } else if (got > 0 && note.kind == NOTE_FAIL) {
    self.failure = (struct failure){.section = CHILD, .index = note.index, .error = note.value};
  } else if (got <= 0) {
    (void)close(self.run->sync);
    self.run->sync = -1;
    self.started = self.failure.error == 0;
    if (self.started)
      started();
  }
}

/* Notes come first: a helper that ends has told of its successor before. */
static void take_notes(void) {
  while (self.run->sync >= 0) {
    struct pollfd polled = {.fd = self.run->sync, .events = POLLIN};
    if (poll(&polled, 1, 0) <= 0)
      return;
    take_note();
  }
}

/* The helper ends by itself at once, so this is short. */
static void await_notes(bool until_created) {
  while (self.run->sync >= 0 && !(until_created && self.created))
    take_note();
}

static void reap(void) {
  struct signalfd_siginfo info;
  (void)!read(self.signal_fd, &info, sizeof info);
  for (;;) {
    siginfo_t died = {.si_pid = 0};
    if (waitid(P_ALL, 0, &died, WEXITED | WNOHANG | WNOWAIT) < 0 || died.si_pid == 0)
      return;
    take_notes();
    /* One that is born inside may end before its helper could name it. */
    if (died.si_pid != self.run->child && !self.created)
      await_notes(true);
    int status;
    if (waitpid(died.si_pid, &status, 0) != self.run->child)
      continue;
    self.ended = true;
    self.status = status;
  }
}

/* @returns whether more may be there. */
static bool relay(int which) {
  static char chunk[OUTPUT_MAX];
  static bool wide[2];
  bool logged = !(self.run->plan.header->flags & PLAN_BACKPRESSURE);
  ssize_t got = read(self.out[which], chunk, logged ? LOG_CHUNK : sizeof chunk);
  if (got >= PIPE_USUAL && !wide[which]) { /* it was full: its writer had to wait */
    wide[which] = true;
    (void)fcntl(self.out[which], F_SETPIPE_SZ, PIPE_WIDE);
  }
  if (got > 0) {
    struct log_position from = log_position();
    log_write(which == 1, chunk, (size_t)got);
    attach_output(which == 1, chunk, (size_t)got, from, log_position());
    return true;
  }
  if (got < 0 && (errno == EAGAIN || errno == EINTR))
    return false;
  (void)close(self.out[which]); /* everybody closed it */
  self.out[which] = -1;
  return false;
}

static void run_loop_once(bool ending, int timeout) {
  struct pollfd polled[AT_CONTROLS + CONTROLS_MAX + 1 + CLIENTS_MAX];
  bool hold_back = (self.run->plan.header->flags & PLAN_BACKPRESSURE) && attach_pending();
  polled[AT_SIGNAL] = (struct pollfd){.fd = self.signal_fd, .events = POLLIN};
  polled[AT_SYNC] = (struct pollfd){.fd = self.run->sync, .events = POLLIN};
  polled[AT_CONTROL] = (struct pollfd){.fd = ending ? -1 : self.control, .events = POLLIN};
  polled[AT_ATTACH] = (struct pollfd){.fd = ending ? -1 : self.attach, .events = POLLIN};
  polled[AT_STDOUT] = (struct pollfd){.fd = hold_back ? -1 : self.out[0], .events = POLLIN};
  polled[AT_STDERR] = (struct pollfd){.fd = hold_back ? -1 : self.out[1], .events = POLLIN};
  for (int i = 0; i < CONTROLS_MAX; i++)
    polled[AT_CONTROLS + i] = (struct pollfd){.fd = self.controls[i].fd, .events = POLLIN};
  struct pollfd *attached = polled + AT_CONTROLS + CONTROLS_MAX;
  nfds_t count = (nfds_t)(AT_CONTROLS + CONTROLS_MAX + attach_poll_set(attached));
  if (poll(polled, count, timeout) <= 0)
    return;
  if (polled[AT_SYNC].revents != 0)
    take_notes();
  attach_handle(attached);
  if (polled[AT_STDOUT].revents != 0)
    (void)relay(0);
  if (polled[AT_STDERR].revents != 0)
    (void)relay(1);
  for (int i = 0; i < CONTROLS_MAX; i++)
    if (polled[AT_CONTROLS + i].revents != 0)
      read_control(&self, i);
  if (polled[AT_CONTROL].revents != 0)
    accept_control(&self);
  if (polled[AT_ATTACH].revents != 0)
    attach_accept(self.attach);
  if (polled[AT_SIGNAL].revents != 0)
    reap();
}

/* What the process wrote before it died is still in the pipes; who holds them
 * open besides is not waited for. */
static void drain(void) {
  bool wait = (self.run->plan.header->flags & PLAN_BACKPRESSURE) != 0;
  uint64_t deadline = now_ns() + (uint64_t)DRAIN_MS * 1000000;
  for (int which = 0; which < 2; which++)
    for (int chunks = 0; self.out[which] >= 0 && chunks < 1024; chunks++) {
      while (wait && attach_pending() && now_ns() < deadline)
        run_loop_once(true, 100);
      if (self.out[which] < 0 || !relay(which))
        break;
    }
  while (attach_pending() && now_ns() < (wait ? deadline : deadline - (uint64_t)(DRAIN_MS - 100) * 1000000))
    run_loop_once(true, 50);
}

void remove_names(const struct run *run) {
  static const char *const names[] = {"control", "attach", "gate", "state"};
  int folder = fd_of(run->plan.header->run_slot);
  for (size_t i = 0; folder >= 0 && i < sizeof names / sizeof *names; i++)
    (void)unlinkat(folder, names[i], 0);
}

static void finish(void) {
  bool hold = (self.run->plan.header->flags & PLAN_HOLD) != 0;
  int signal_number = WIFSIGNALED(self.status) ? WTERMSIG(self.status) : 0;
  int code = signal_number > 0 ? 128 + signal_number : WEXITSTATUS(self.status);
  await_notes(false); /* a helper's end of it may be open for a moment more */
  if (!self.started && self.failure.error == 0)
    self.failure = (struct failure){.section = FAILED_LAUNCH, .index = LAUNCH_CHILD_GONE, .error = EINTR};
  struct message message = {
      .type = MSG_EXITED, .version = WIRE_VERSION, .a = code, .b = signal_number, .x = now_ns()};
  for (int which = 0; which < 2; which++) /* never wait for a holder of the other end */
    if (self.out[which] >= 0)
      (void)fcntl(self.out[which], F_SETFL, O_NONBLOCK);
  if (hold && self.run->committed) {
    /* The log is complete before the record says where it ends. */
    if (!(self.run->plan.header->flags & PLAN_BACKPRESSURE))
      drain();
    message.y = write_exit_record(self.run, code, signal_number, &self.failure) == 0 ? EXIT_RECORDED : 0;
  } else {
    after_exit(self.run, NULL, NULL);
  }
  remove_names(self.run); /* whoever is told may remove the folder */
  if (self.failure.error == 0)
    say(&self, &message);
  else
    say_failure(&self);
  if (hold && (self.run->plan.header->flags & PLAN_BACKPRESSURE))
    drain();
  attach_end();
}

/* Everything that takes a name or a descriptor. */
static int prepare(struct run *run) {
  const struct plan_header *header = run->plan.header;
  sigset_t child;
  (void)sigemptyset(&child);
  (void)sigaddset(&child, SIGCHLD);
  self.run = run;
  self.control = self.attach = -1;
  for (int i = 0; i < CONTROLS_MAX; i++)
    self.controls[i] = (struct control){.fd = i == 0 ? run->launch : -1};
  self.out[0] = fd_of(header->stdout_slot);
  self.out[1] = fd_of(header->stderr_slot);
  self.signal_fd = signalfd(-1, &child, SFD_CLOEXEC);
  if (self.signal_fd < 0)
    return -errno;
  if (!(header->flags & PLAN_HOLD))
    return 0;
  int stdin_fd = header->flags & PLAN_TERMINAL ? dup(self.out[0]) : fd_of(header->stdin_slot);
  if (stdin_fd >= 0)
    (void)fcntl(stdin_fd, F_SETFL, O_NONBLOCK);
  input_open(stdin_fd);
  attach_configure((header->flags & PLAN_BACKPRESSURE) != 0);
  if (header->attach_slot != SLOT_NONE)
    attach_add(fd_of(header->attach_slot));
  self.control = listen_in(fd_of(header->run_slot), "control");
  if (self.control < 0)
    return self.control;
  self.attach = listen_in(fd_of(header->run_slot), "attach");
  return self.attach < 0 ? self.attach : log_open(header);
}

static bool has_op(const struct plan *plan, uint16_t code) {
  const struct plan_header *header = plan->header;
  for (uint32_t i = header->section_end[PARENT_AFTER]; i < header->section_end[CHILD]; i++)
    if (plan->ops[i].code == code)
      return true;
  return false;
}

void prepare_hold(struct run *run) {
  if (self.run != NULL)
    return;
  unprepared = -prepare(run);
  /* One that is born again says so itself. */
  if (unprepared == 0 && !has_op(&run->plan, OP_RESPAWN))
    keep_state();
}

int hold(struct run *run) {
  prepare_hold(run);
  if (unprepared != 0) {
    self.failure = (struct failure){.section = FAILED_LAUNCH, .index = LAUNCH_HOLD, .error = unprepared};
    (void)kill(run->child, SIGKILL);
    (void)waitpid(run->child, &self.status, 0);
    self.ended = true;
  }
  if (!self.ended && !has_op(&run->plan, OP_RESPAWN) && !has_op(&run->plan, OP_GATE))
    created();
  while (!self.ended)
    run_loop_once(false, -1);
  finish();
  return 0;
}
