/* Operations on the process itself: namespaces, identity, privileges, terminal,
 * network messages, exec. */
#define _GNU_SOURCE
#include "shim.h"

#include "scope.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int check(long result) { return result < 0 ? -errno : 0; }

static int drop_bounding(uint64_t keep) {
  for (unsigned long cap = 0; cap < 64; cap++)
    if (!(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap) < 0)
      return errno == EINVAL ? 0 : -errno; /* above the kernel's last capability */
  return 0;
}

static int set_capabilities(uint64_t mask) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {
      {.effective = (uint32_t)mask, .permitted = (uint32_t)mask},
      {.effective = (uint32_t)(mask >> 32), .permitted = (uint32_t)(mask >> 32)}};
  return check(syscall(SYS_capset, &header, data));
}

static int set_filter(const struct plan *plan, const struct op *op) {
  struct sock_fprog program = {.len = (unsigned short)(op->s1_len / 8),
                               .filter = (void *)(uintptr_t)plan_str(plan, op->s1)};
  return check(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

/* The kernel copies them from where they are, aligned or not: up to 65,536 would be much for a stack. */
static int set_groups(const struct plan *plan, const struct op *op) {
  return check(syscall(SYS_setgroups, op->s1_len / sizeof(gid_t), plan_str(plan, op->s1)));
}

static int pty_peer(const struct op *op) {
  int unlock = 0, master = fd_of(op->a);
  if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
    return -errno;
  struct winsize size = {.ws_row = (unsigned short)op->x, .ws_col = (unsigned short)op->y};
  if (op->x != 0 && op->y != 0 && ioctl(master, TIOCSWINSZ, &size) < 0)
    return -errno;
  return slot_set(op->b, ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
}

/* Of the namespace that the socket was made in; any socket will do. @returns -errno. */
static int interface_index(int socket_fd, const char *name) {
  struct ifreq request = {0};
  if (strlen(name) >= sizeof request.ifr_name)
    return -ENODEV;
  memcpy(request.ifr_name, name, strlen(name));
  return ioctl(socket_fd, SIOCGIFINDEX, &request) < 0 ? -errno : request.ifr_ifindex;
}

/* A request with NLM_F_ACK: one datagram there, one NLMSG_ERROR back. */
static int netlink(const struct plan *plan, const struct op *op) {
  char message[4096];
  union {
    struct nlmsghdr header;
    char space[4096];
  } reply;
  if (op->s1_len > sizeof message)
    return -EMSGSIZE;
  memcpy(message, plan_str(plan, op->s1), op->s1_len);
  if (op->a != SLOT_NONE) {
    int fd = fd_of(op->a);
    memcpy(message + op->x, &fd, sizeof fd);
  }
  AUTO_FD socket_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (socket_fd < 0)
    return -errno;
  if (op->s2_len > 0) {
    int index = interface_index(socket_fd, plan_str(plan, op->s2));
    if (index < 0)
      return index;
    memcpy(message + op->y, &index, sizeof index);
  }
  if (send(socket_fd, message, op->s1_len, 0) < 0)
    return -errno;
  ssize_t got = recv(socket_fd, &reply, sizeof reply, 0);
  if (got < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) || reply.header.nlmsg_type != NLMSG_ERROR)
    return got < 0 ? -errno : -EBADMSG;
  return ((const struct nlmsgerr *)NLMSG_DATA(&reply.header))->error;
}

/*
 * Closes everything but what the program will have, the sync socket and *fd:
 * whoever is privileged enough in the container to look into this process finds
 * nothing of the host. No slot can be used afterwards.
 */
int seclude(struct run *run, int *fd) {
  int next = run->private_fds;
  if (run->sync != next && dup3(run->sync, next, O_CLOEXEC) < 0)
    return -errno;
  run->sync = next++;
  if (fd != NULL && dup3(*fd, next, O_CLOEXEC) < 0)
    return -errno;
  if (fd != NULL)
    *fd = next++;
  return check(syscall(SYS_close_range, (unsigned)next, ~0U, 0U));
}

/*
 * The process that will exec is born only now, inside the pid namespace that
 * was joined and with its final credentials, as a child of the shim.
 */
static int respawn(struct run *run) {
  int result = seclude(run, NULL);
  if (result < 0)
    return result;
  long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
  if (pid < 0)
    return -errno;
  if (pid > 0) {
    (void)send_note(run->sync, (struct note){.kind = NOTE_RESPAWN, .value = (int)pid}, -1);
    _exit(0);
  }
  return check(prctl(PR_SET_PDEATHSIG, SIGKILL));
}

static int execute(const struct run *run) {
  int result = -ENOENT;
  bool goes_on = true;
  if (syscall(SYS_close_range, (unsigned)run->private_fds, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
    return -errno;
  for (char **path = run->paths; *path != NULL && goes_on; path++) {
    (void)execve(*path, run->argv, run->envp);
    /* As execvp(3): go on along PATH, but remember that something was there. */
    goes_on = errno == EACCES || errno == ENOENT || errno == ENOTDIR;
    if (errno == EACCES || !goes_on)
      result = -errno;
  }
  look_for_program(run->paths);
  return result;
}

static int step_identity(const struct plan *plan, const struct op *op) {
  switch (op->code) {
  case OP_GROUPS:
    return set_groups(plan, op);
  case OP_SETGID:
    return check(setresgid((gid_t)op->x, (gid_t)op->x, (gid_t)op->x));
  case OP_SETUID:
    if (setresuid((uid_t)op->x, (uid_t)op->x, (uid_t)op->x) < 0)
      return -errno;
    /* Set again: a change of identity clears it. */
    return check(prctl(PR_SET_PDEATHSIG, SIGKILL));
  case OP_BOUNDING:
    return drop_bounding(op->x);
  case OP_CAPSET:
    return set_capabilities(op->x);
  case OP_NO_NEW_PRIVS:
    return check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  case OP_SECCOMP:
    return set_filter(plan, op);
  case OP_KEYRING:
    return check(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, plan_str(plan, op->s1)));
  default:
    return -ENOSYS;
  }
}

int step_process(struct run *run, const struct op *op) {
  const struct plan *plan = &run->plan;
  switch (op->code) {
  case OP_SETNS:
    return check(setns(fd_of(op->a), (int)op->x));
  case OP_UNSHARE:
    return check(unshare((int)op->x));
  case OP_HOSTNAME:
    return check(sethostname(plan_str(plan, op->s1), op->s1_len - 1));
  case OP_RLIMIT: {
    struct rlimit limit = {.rlim_cur = op->y, .rlim_max = op->z};
    return check(setrlimit((__rlimit_resource_t)op->x, &limit));
  }
  case OP_FCHDIR:
    return check(fchdir(fd_of(op->a)));
  case OP_FCHOWN:
    /* Also where the descriptor is only a path. */
    return check(fchownat(fd_of(op->a), "", (uid_t)op->x, (gid_t)op->y, AT_EMPTY_PATH));
  case OP_SETSID:
    return check(setsid());
  case OP_CONTROLLING_TTY:
    return check(ioctl(STDIN_FILENO, TIOCSCTTY, 0));
  case OP_PTY_PEER:
    return pty_peer(op);
  case OP_DUP:
    if (op->x >= 3 && run->private_fds <= (int)op->x)
      run->private_fds = (int)op->x + 1;
    return check(dup2(fd_of(op->a), (int)op->x));
  case OP_RESPAWN:
    return respawn(run);
  case OP_UMASK:
    (void)umask((mode_t)op->x);
    return 0;
  case OP_NETLINK:
    return netlink(plan, op);
  case OP_INIT:
    return become_init();
  case OP_EXEC:
    return execute(run);
  default:
    return step_identity(plan, op);
  }
}
