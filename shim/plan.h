/*
 * The launch plan: what TypeScript wrote (server/spec/plan-codec.ts is the
 * other owner of this format) and this program executes. Little endian, one
 * flat file in a sealed memfd:
 *
 *     header | op 0 | op 1 | ... | op N-1 | bytes that ops and header point
 * into
 *
 * Ops stand in four sections, one after the other:
 *     parent-before   the shim, before the clone
 *     parent-after    the shim, after the clone
 *     child           the clone, up to exec
 *     after-exit      the shim, when the child is gone (or its launch failed)
 *
 * Slot n is the file descriptor SLOT_BASE + n, so that a plan can spell
 * "/proc/self/fd/32" itself.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAN_MAGIC 0x4e4c504du /* "MPLN" */
#define PLAN_VERSION 1
#define PLAN_MAX_BYTES (4u << 20)
#define SLOT_BASE 32
#define SLOT_COUNT 192
#define SLOT_NONE 0xffffu
#define INHERIT_MAX                                                                                          \
  16 /* slots 0.. that may be filled by the launch request                                                   \
      */

enum section { PARENT_BEFORE, PARENT_AFTER, CHILD, AFTER_EXIT, SECTION_COUNT };

/* bits of op.flags */
enum { OP_EXISTS_OK = 1, OP_IGNORE_ERRORS = 2 };

/* bits of header.flags */
enum {
  PLAN_HOLD = 1,         /* keep the child's stdio, sockets and records; else only wait
                            for it */
  PLAN_TERMINAL = 2,     /* stdio is one pseudo terminal */
  PLAN_BACKPRESSURE = 4, /* no log: a slow client makes the process wait */
  PLAN_PARK = 8,         /* the child is a launcher, which waits for the plan of a start (park.c) */
};

/* One operation. Which fields it uses is in plan.c's table. */
struct op {
  uint16_t code, flags;
  uint16_t a, b; /* slots */
  uint32_t s1, s1_len, s2, s2_len, s3, s3_len;
  uint64_t x, y, z;
};
_Static_assert(sizeof(struct op) == 56, "wire format");

struct plan_header {
  uint32_t magic;
  uint16_t version, flags;
  uint32_t size, op_count;
  uint32_t section_end[SECTION_COUNT];
  uint64_t clone_flags;
  uint16_t cgroup_slot;                          /* CLONE_INTO_CGROUP, or SLOT_NONE */
  uint16_t run_slot;                             /* run folder */
  uint16_t log_slot;                             /* logs folder, or SLOT_NONE */
  uint16_t stdin_slot, stdout_slot, stderr_slot; /* the shim's ends; SLOT_NONE where there is none */
  uint16_t gate_slot;                            /* the shim's handle of the start gate */
  uint16_t keep_slot;   /* held open as long as the shim lives: the pty's other end */
  uint16_t attach_slot; /* a connection that is attached from the start */
  uint16_t reserved[3];
  uint32_t log_serial, log_max_files;
  uint64_t log_max_bytes;
  uint32_t head, head_len;   /* first lines of the state file and the exit record */
  uint32_t title, title_len; /* what ps shows */
};
_Static_assert(sizeof(struct plan_header) == 96, "wire format");

enum op_code {
  OP_BARRIER = 1,     /* parent and child meet */
  OP_ASK,             /* the server is asked x and answers 0 or an errno */
  OP_GATE,            /* close all slots, wait for one byte in FIFO a */
  OP_SEND_SLOT,       /* child: give slot a to the parent */
  OP_RECV_SLOT,       /* parent: take it */
  OP_OPEN,            /* a = open(s1, flags x, mode y) */
  OP_OPEN_IN_ROOT,    /* a = openat2(b, s1, flags x), never above b, no magic links
                       */
  OP_MKDIR,           /* mkdir(s1, mode x) */
  OP_MKDIR_IN_ROOT,   /* below directory s1 of b: mkdir(s2, mode x) */
  OP_FILE_IN_ROOT,    /* the same, an empty file unless there is something */
  OP_MKNOD_IN_ROOT,   /* mknod(s2, mode x, device y) */
  OP_SYMLINK_IN_ROOT, /* symlink(target s3, s2) */
  OP_MKFIFO,          /* a = FIFO s2 made in folder b, mode x, opened for both directions
                       */
  OP_MOUNT,           /* mount(s1, slot a, type s2, flags x, data s3) */
  OP_BIND,            /* tree b onto a, attributes x set, whole tree if y, propagation z unless 0 */
  OP_TREE,            /* a = a copy of the mounted tree b, in no namespace, whole tree if y */
  OP_PLACE,           /* tree b, which is in no namespace, onto a */
  OP_FS_OPEN,         /* a = a filesystem of type s1 that is to be mounted */
  OP_FS_CONFIG,       /* its option s1 is s2; empty: it has no value */
  OP_FS_MOUNT,        /* a = filesystem b, mounted in no namespace, attributes x */
  OP_SETATTR,         /* mount_setattr(a, set x, owners by user namespace b), whole tree if y */
  OP_PROPAGATION,     /* mount(NULL, slot a, flags x) */
  OP_PIVOT,           /* a becomes /, the old root is detached */
  OP_SETNS,           /* setns(a, kinds x) */
  OP_UNSHARE,         /* unshare(x) */
  OP_HOSTNAME,        /* sethostname(s1) */
  OP_WRITE,           /* s2 into the existing file s1, below folder a where it is relative */
  OP_WRITE_SLOT,      /* s2 into a */
  OP_RENAME,          /* rename(s1, s2); what is empty there gives way */
  OP_JOIN,            /* the child's pid into s1 (a cgroup.procs) */
  OP_RLIMIT,          /* setrlimit(x, soft y, hard z) */
  OP_GROUPS,          /* setgroups(s1 as uint32) */
  OP_SETGID,          /* setresgid(x) */
  OP_SETUID,          /* setresuid(x) */
  OP_BOUNDING,        /* bounding set = x */
  OP_CAPSET,          /* permitted = effective = x, inheritable = ambient = 0 */
  OP_NO_NEW_PRIVS,
  OP_SECCOMP, /* filter s1 */
  OP_KEYRING, /* new session keyring named s1 */
  OP_FCHDIR,  /* a becomes the working directory */
  OP_FCHOWN,  /* fchown(a, x, y) */
  OP_SETSID,
  OP_CONTROLLING_TTY, /* standard input */
  OP_PTY_PEER,        /* b = the other end of pty master a; size rows x, columns y
                         unless 0 */
  OP_PIPE,            /* a = read end, b = write end */
  OP_DUP,             /* a onto descriptor x (0 to 9) */
  OP_CLOSE,           /* a */
  OP_RESPAWN,         /* the child is born again as its sibling, in its pid namespace
                         for children */
  OP_UMASK,           /* umask(x) */
  OP_NETLINK,         /* rtnetlink message s1; patched in: the fd of a at offset x unless
                         SLOT_NONE, the index of interface s2 at y unless absent */
  OP_BPF_ATTACH,      /* device program b to cgroup a */
  OP_KILL_CGROUP,     /* v1 freezer folder s1: freeze, kill, thaw */
  OP_RMDIR,           /* rmdir(s1), again while busy */
  OP_READ,            /* after-exit: file s1 into the exit record under the label s2 */
  OP_INIT,            /* the child goes on as a child of its own; the process itself becomes init.c's */
  OP_EXEC,            /* first of the x paths s1 that can be executed, argv s2 (y),
                         environment s3 (z) */
  OP_CODE_END
};

/* A plan that has been checked whole. */
struct plan {
  const uint8_t *bytes;
  const struct plan_header *header;
  const struct op *ops;
};

/* Checks everything that can be checked without a side effect. @returns 0 or
 * -EINVAL, -EPROTO. */
int plan_parse(const uint8_t *bytes, size_t size, struct plan *plan);

static inline const char *plan_str(const struct plan *plan, uint32_t offset) {
  return (const char *)plan->bytes + offset;
}
