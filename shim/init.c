/*
 * A small init as process 1 of a container that asked for one: passes signals
 * on, reaps what is orphaned, and ends as the program ends. It is this program
 * executed anew, so that nothing of the launch is left in its memory.
 */
#define _GNU_SOURCE
#include "shim.h"

#include "scope.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* What the kernel tells a process about its own faults is not passed on. */
static void passed_on(sigset_t *set) {
  static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
  (void)sigfillset(set);
  for (size_t i = 0; i < sizeof own / sizeof *own; i++)
    (void)sigdelset(set, own[i]);
}

/* The program: as a shell starts a job, so that ^C concerns it and not the init.
 * Waits until the init is ready: the program must not meet what is left of the launch in process 1. */
static int begin_job(int ready) {
  char end;
  sigset_t none;
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (read(ready, &end, 1) < 0)
    return -errno;
  (void)setpgid(0, 0);
  /* Blocked signals let a process of the background do that. Without a terminal it has no effect. */
  (void)tcsetpgrp(STDIN_FILENO, getpid());
  (void)sigemptyset(&none);
  return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? -errno : 0;
}

/* @returns 0 in the process that goes on to the program; else -errno. */
int become_init(void) {
  AUTO_FD self = open("/proc/self/exe", O_PATH | O_CLOEXEC);
  if (self < 0)
    return -errno;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0)
    return -errno;
  AUTO_FD ready = ends[0], not_ready = ends[1];
  sigset_t set;
  passed_on(&set);
  /* From here every signal waits for one of the two to be ready for it. */
  if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
    return -errno;
  /* Not fork(3): that one runs handlers of the library. */
  long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (pid < 0)
    return -errno;
  if (pid == 0) {
    (void)close(fd_take(&not_ready));
    return begin_job(ready);
  }
  char number[24], name[] = "mydocker-init";
  *put_number(number, (uint64_t)pid) = '\0';
  char *argv[] = {name, number, NULL}, *envp[] = {NULL};
  /* The init closes it when it is ready. */
  (void)fcntl(not_ready, F_SETFD, 0);
  (void)syscall(SYS_execveat, self, "", argv, envp, AT_EMPTY_PATH);
  return -errno;
}

/* Ends this process when it is the program that ended. */
static void reap(pid_t main_pid) {
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
    if (pid == main_pid)
      _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

int init_main(const char *main_pid) {
  pid_t pid = (pid_t)atoi(main_pid);
  siginfo_t info;
  sigset_t set;
  /* A container can execute this program too, as the one of process 1: it has no such child. */
  if (pid <= 0 || waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
    return 2;
  passed_on(&set);
  (void)sigprocmask(SIG_BLOCK, &set, NULL);
  (void)prctl(PR_SET_NAME, "mydocker-init");
  /* Process 1 of its namespace is one anyway; in a shared namespace it is not 1. */
  (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
  /* The program, if it came from here, waits for this. */
  (void)syscall(SYS_close_range, 3, ~0U, 0);
  reap(pid);
  for (;;) {
    int number = sigwaitinfo(&set, NULL);
    if (number == SIGCHLD)
      reap(pid);
    else if (number > 0)
      (void)kill(pid, number);
  }
}
