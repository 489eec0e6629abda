/* Operations that build the container's tree of mounts. Targets are
 * descriptors, never names. */
#define _GNU_SOURCE
#include "shim.h"

#include "scope.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/syscall.h>

/* glibc 2.36 has these calls, but its header cannot stand beside
 * <linux/mount.h>. */
/* @param owners - user namespace that maps them, or -1. */
static int set_attributes(int fd, uint64_t set, uint64_t propagation, bool whole_tree, int owners) {
  struct mount_attr attr = {.attr_set = set, .propagation = propagation};
  if (owners >= 0) {
    attr.attr_set |= MOUNT_ATTR_IDMAP;
    attr.userns_fd = (unsigned)owners;
  }
  unsigned flags = AT_EMPTY_PATH | (whole_tree ? AT_RECURSIVE : 0);
  return syscall(SYS_mount_setattr, fd, "", flags, &attr, sizeof attr) < 0 ? -errno : 0;
}

static int copy_tree(int fd, bool whole_tree) {
  unsigned flags = AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (whole_tree ? AT_RECURSIVE : 0);
  return (int)syscall(SYS_open_tree, fd, "", flags);
}

static int place(int tree, int target) {
  unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
  return syscall(SYS_move_mount, tree, "", target, "", flags) < 0 ? -errno : 0;
}

/* The attributes are set before anybody can see the mount. */
static int bind_tree(const struct op *op) {
  AUTO_FD tree = copy_tree(fd_of(op->b), op->y != 0);
  if (tree < 0)
    return -errno;
  if (op->x != 0 || op->z != 0) {
    int result = set_attributes(tree, op->x, op->z, op->y != 0, -1);
    if (result < 0)
      return result;
  }
  return place(tree, fd_of(op->a));
}

/* In the shim: a filesystem reaches its server, or its disk, as the host does. */
static int filesystem(const struct plan *plan, const struct op *op) {
  if (op->code == OP_FS_OPEN)
    return slot_set(op->a, (int)syscall(SYS_fsopen, plan_str(plan, op->s1), FSOPEN_CLOEXEC));
  if (op->code == OP_FS_CONFIG) {
    const char *value = plan_str(plan, op->s2);
    bool is_flag = value[0] == 0;
    return syscall(SYS_fsconfig, fd_of(op->a), is_flag ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING,
                   plan_str(plan, op->s1), is_flag ? NULL : value, 0) < 0
               ? -errno
               : 0;
  }
  if (syscall(SYS_fsconfig, fd_of(op->b), FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
    return -errno;
  return slot_set(op->a, (int)syscall(SYS_fsmount, fd_of(op->b), FSMOUNT_CLOEXEC, op->x));
}

/* Without a place for the old root: both stand at "/", the old one on top, and
 * it is taken away. */
static int pivot(int root) {
  if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
      chdir("/") < 0)
    return -errno;
  return 0;
}

int step_mount(const struct plan *plan, const struct op *op) {
  char target[32];
  (void)put_number(put_text(target, "/proc/self/fd/"), (uint64_t)fd_of(op->a));
  switch (op->code) {
  case OP_MOUNT:
    return mount(plan_str(plan, op->s1), target, plan_str(plan, op->s2), op->x, plan_str(plan, op->s3)) < 0
               ? -errno
               : 0;
  case OP_PROPAGATION:
    return mount(NULL, target, NULL, op->x, NULL) < 0 ? -errno : 0;
  case OP_BIND:
    return bind_tree(op);
  case OP_TREE:
    return slot_set(op->a, copy_tree(fd_of(op->b), op->y != 0));
  case OP_PLACE:
    return place(fd_of(op->b), fd_of(op->a));
  case OP_FS_OPEN:
  case OP_FS_CONFIG:
  case OP_FS_MOUNT:
    return filesystem(plan, op);
  case OP_SETATTR:
    return set_attributes(fd_of(op->a), op->x, 0, op->y != 0, fd_of(op->b));
  default:
    return pivot(fd_of(op->a));
  }
}
