/*
 * mydocker-shim: the one program between the server and the kernel.
 *
 *     mydockerd --spawns once--> zygote --fork, no exec--> shim, one a process
 * --clone--> the container's process
 *
 * The zygote waits on descriptor 4 for launch requests. A shim reads its plan,
 * checks it whole, executes it (launch.c) and holds the process until its end
 * (hold.c).
 */
#define _GNU_SOURCE
#include "shim.h"

#include "scope.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { ZYGOTE_SOCKET = 4 };

/* Where ps finds the title: the first argument, which the server made long
 * enough. */
static char *title_at;
static size_t title_size;

static int refuse(int launch, int error, int index) {
  struct failure failure = {.section = FAILED_LAUNCH, .index = (uint32_t)index, .error = error};
  return report_failure(launch, &failure);
}

static void set_title(const struct plan *plan) {
  const char *title = plan_str(plan, plan->header->title);
  memset(title_at, 0, title_size);
  memcpy(title_at, title, strnlen(title, title_size));
  (void)prctl(PR_SET_NAME, "mydocker-shim");
}

static int load_plan(int fd, struct plan *plan) {
  int seals = fcntl(fd, F_GET_SEALS), needed = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
  struct stat stat;
  if (fstat(fd, &stat) < 0)
    return -errno;
  if (seals < 0 || (seals & needed) != needed || stat.st_size <= 0 || stat.st_size > PLAN_MAX_BYTES)
    return -EINVAL;
  void *bytes = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  return bytes == MAP_FAILED ? -errno : plan_parse(bytes, (size_t)stat.st_size, plan);
}

/* Takes all descriptors. @returns 0 or -errno. */
int take_plan(struct run *run, int plan_fd, const int *slots, int count) {
  int result = load_plan(plan_fd, &run->plan);
  (void)close(plan_fd);
  for (int slot = 0; result == 0 && slot < count; slot++)
    result = slot_set((uint16_t)slot, slots[slot]);
  if (result == 0)
    set_title(&run->plan);
  return result;
}

static int shim_main(const int *descriptors, int count) {
  struct run run = {.launch = descriptors[1], .sync = -1};
  struct failure failure = {0};
  sigset_t child;
  (void)close(ZYGOTE_SOCKET);
  (void)setsid();
  (void)sigemptyset(&child);
  (void)sigaddset(&child, SIGCHLD);
  (void)sigprocmask(SIG_BLOCK, &child, NULL);
  (void)signal(SIGCHLD, SIG_DFL);
  (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
  int result = take_plan(&run, descriptors[0], descriptors + 2, count - 2);
  if (result < 0)
    return refuse(run.launch, -result, LAUNCH_PLAN);
  bool parks = (run.plan.header->flags & PLAN_PARK) != 0;
  if (!parks || park(&run, &failure)) {
    failure = launch(&run);
    if (failure.error == 0)
      return hold(&run);
    remove_names(&run);
    after_exit(&run, NULL, NULL);
  }
  if (parks)
    unpark(&run);
  return report_failure(run.launch, &failure);
}

/* @returns how many descriptors came with a launch request; 0 when the server
 * is gone. */
int receive(int socket_fd, int *descriptors) {
  struct launch_request request;
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
  } control;
  struct iovec part = {.iov_base = &request, .iov_len = sizeof request};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.space};
  ssize_t got;
  do
    got = recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (got != (ssize_t)sizeof request || request.magic != LAUNCH_MAGIC || request.version != WIRE_VERSION ||
      header == NULL || header->cmsg_type != SCM_RIGHTS)
    return 0;
  size_t bytes = header->cmsg_len - CMSG_LEN(0);
  memcpy(descriptors, CMSG_DATA(header), bytes);
  return (int)(bytes / sizeof(int));
}

int main(int argc, char **argv) {
  int descriptors[DESCRIPTORS_MAX], count;
  if (argc == 2)
    return init_main(argv[1]);
  if (argc != 1)
    return 2;
  title_at = argv[0];
  title_size = strlen(argv[0]);
  (void)close(3); /* this program's own memfd */
  /* Not every library of the server closes its files at exec. */
  (void)syscall(SYS_close_range, ZYGOTE_SOCKET + 1U, ~0U, 0U);
  (void)prctl(PR_SET_NAME, "mydocker-zygote");
  (void)prctl(PR_SET_DUMPABLE, 0);
  (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
  for (int signal_number = 1; signal_number < NSIG; signal_number++)
    (void)signal(signal_number, SIG_DFL); /* whatever the server's were */
  (void)signal(SIGCHLD, SIG_IGN);         /* shims are never waited for */
  (void)signal(SIGPIPE, SIG_IGN);
  (void)umask(0077);
  if (chdir("/") < 0 || fcntl(ZYGOTE_SOCKET, F_SETFD, FD_CLOEXEC) < 0)
    return 2;
  while ((count = receive(ZYGOTE_SOCKET, descriptors)) >= 2) {
    pid_t pid = fork();
    if (pid == 0)
      _exit(shim_main(descriptors, count));
    if (pid < 0)
      (void)refuse(descriptors[1], errno, LAUNCH_FORK);
    for (int i = 0; i < count; i++)
      (void)close(descriptors[i]);
  }
  return 0;
}
