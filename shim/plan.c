/* Reads a launch plan: a pure function over bytes, so that it can be fuzzed.
 * Nothing unchecked leaves it. */
#include "plan.h"

#include <errno.h>
#include <string.h>

/* How an op uses a field. OPTIONAL slots may be SLOT_NONE, LIST is `count`
 * strings, BLOB any bytes, MAYBE a string or nothing. */
enum { NO, SLOT, OPTIONAL };
enum { NONE, STR, BLOB, LIST, MAYBE };
enum { IN_PARENT = 1, IN_CHILD = 2, IN_EXIT = 4, ANY = 7 };

struct shape {
  uint8_t where, a, b, s1, s2, s3;
};

static const struct shape shapes[OP_CODE_END] = {
    [OP_BARRIER] = {IN_PARENT | IN_CHILD, NO, NO, NONE, NONE, NONE},
    [OP_ASK] = {IN_PARENT | IN_CHILD, NO, NO, NONE, NONE, NONE},
    [OP_GATE] = {IN_CHILD, SLOT, NO, NONE, NONE, NONE},
    [OP_SEND_SLOT] = {IN_CHILD, SLOT, NO, NONE, NONE, NONE},
    [OP_RECV_SLOT] = {IN_PARENT, SLOT, NO, NONE, NONE, NONE},
    [OP_OPEN] = {IN_PARENT | IN_CHILD, SLOT, NO, STR, NONE, NONE},
    [OP_OPEN_IN_ROOT] = {IN_PARENT | IN_CHILD, SLOT, SLOT, STR, NONE, NONE},
    [OP_MKDIR] = {IN_PARENT | IN_CHILD, NO, NO, STR, NONE, NONE},
    [OP_MKDIR_IN_ROOT] = {IN_CHILD, NO, SLOT, STR, STR, NONE},
    [OP_FILE_IN_ROOT] = {IN_CHILD, NO, SLOT, STR, STR, NONE},
    [OP_MKNOD_IN_ROOT] = {IN_CHILD, NO, SLOT, STR, STR, NONE},
    [OP_SYMLINK_IN_ROOT] = {IN_CHILD, NO, SLOT, STR, STR, STR},
    [OP_MKFIFO] = {IN_PARENT, SLOT, SLOT, NONE, STR, NONE},
    [OP_MOUNT] = {IN_CHILD, SLOT, NO, STR, STR, STR},
    [OP_BIND] = {IN_CHILD, SLOT, SLOT, NONE, NONE, NONE},
    [OP_TREE] = {IN_CHILD, SLOT, SLOT, NONE, NONE, NONE},
    [OP_PLACE] = {IN_CHILD, SLOT, SLOT, NONE, NONE, NONE},
    [OP_FS_OPEN] = {IN_PARENT | IN_CHILD, SLOT, NO, STR, NONE, NONE},
    [OP_FS_CONFIG] = {IN_PARENT, SLOT, NO, STR, STR, NONE},
    [OP_FS_MOUNT] = {IN_PARENT | IN_CHILD, SLOT, SLOT, NONE, NONE, NONE},
    [OP_SETATTR] = {IN_CHILD, SLOT, OPTIONAL, NONE, NONE, NONE},
    [OP_PROPAGATION] = {IN_CHILD, SLOT, NO, NONE, NONE, NONE},
    [OP_PIVOT] = {IN_CHILD, SLOT, NO, NONE, NONE, NONE},
    [OP_SETNS] = {IN_PARENT | IN_CHILD, SLOT, NO, NONE, NONE, NONE},
    [OP_UNSHARE] = {IN_CHILD, NO, NO, NONE, NONE, NONE},
    [OP_HOSTNAME] = {IN_CHILD, NO, NO, STR, NONE, NONE},
    [OP_WRITE] = {ANY, OPTIONAL, NO, STR, BLOB, NONE},
    [OP_WRITE_SLOT] = {IN_PARENT | IN_CHILD, SLOT, NO, NONE, BLOB, NONE},
    [OP_RENAME] = {IN_PARENT, NO, NO, STR, STR, NONE},
    [OP_JOIN] = {IN_PARENT, NO, NO, STR, NONE, NONE},
    [OP_RLIMIT] = {IN_CHILD, NO, NO, NONE, NONE, NONE},
    [OP_GROUPS] = {IN_CHILD, NO, NO, BLOB, NONE, NONE},
    [OP_SETGID] = {IN_CHILD, NO, NO, NONE, NONE, NONE},
    [OP_SETUID] = {IN_CHILD, NO, NO, NONE, NONE, NONE},
    [OP_BOUNDING] = {IN_CHILD, NO, NO, NONE, NONE, NONE},
    [OP_CAPSET] = {IN_CHILD, NO, NO, NONE, NONE, NONE},
    [OP_NO_NEW_PRIVS] = {IN_CHILD, NO, NO, NONE, NONE, NONE},
    [OP_SECCOMP] = {IN_CHILD, NO, NO, BLOB, NONE, NONE},
    [OP_KEYRING] = {IN_CHILD, NO, NO, STR, NONE, NONE},
    [OP_FCHDIR] = {IN_CHILD, SLOT, NO, NONE, NONE, NONE},
    [OP_FCHOWN] = {IN_CHILD, SLOT, NO, NONE, NONE, NONE},
    [OP_SETSID] = {IN_CHILD, NO, NO, NONE, NONE, NONE},
    [OP_CONTROLLING_TTY] = {IN_CHILD, NO, NO, NONE, NONE, NONE},
    [OP_PTY_PEER] = {IN_CHILD, SLOT, SLOT, NONE, NONE, NONE},
    [OP_PIPE] = {IN_PARENT, SLOT, SLOT, NONE, NONE, NONE},
    [OP_DUP] = {IN_CHILD, SLOT, NO, NONE, NONE, NONE},
    [OP_CLOSE] = {IN_PARENT | IN_CHILD, SLOT, NO, NONE, NONE, NONE},
    [OP_RESPAWN] = {IN_CHILD, NO, NO, NONE, NONE, NONE},
    [OP_UMASK] = {IN_CHILD, NO, NO, NONE, NONE, NONE},
    [OP_NETLINK] = {IN_PARENT | IN_CHILD, OPTIONAL, NO, BLOB, MAYBE, NONE},
    [OP_BPF_ATTACH] = {IN_PARENT, SLOT, SLOT, NONE, NONE, NONE},
    [OP_KILL_CGROUP] = {IN_EXIT, NO, NO, STR, NONE, NONE},
    [OP_RMDIR] = {IN_EXIT, NO, NO, STR, NONE, NONE},
    [OP_READ] = {IN_EXIT, NO, NO, STR, STR, NONE},
    [OP_INIT] = {IN_CHILD, NO, NO, NONE, NONE, NONE},
    [OP_EXEC] = {IN_CHILD, NO, NO, LIST, LIST, LIST},
};

static bool slot_ok(uint16_t slot, uint8_t use) {
  return use == NO || slot < SLOT_COUNT || (use == OPTIONAL && slot == SLOT_NONE);
}

static bool range_ok(const struct plan_header *header, uint32_t offset, uint32_t length) {
  uint64_t first = sizeof *header + (uint64_t)header->op_count * sizeof(struct op);
  return offset >= first && (uint64_t)offset + length <= header->size;
}

static bool field_ok(const struct plan *plan, uint8_t kind, uint32_t offset, uint32_t length,
                     uint64_t count) {
  if (kind == NONE || (kind == MAYBE && length == 0))
    return offset == 0 && length == 0;
  if (!range_ok(plan->header, offset, length))
    return false;
  const char *text = plan_str(plan, offset);
  if (kind == STR || kind == MAYBE)
    return length > 0 && strnlen(text, length) == length - 1;
  if (kind == BLOB)
    return true;
  if (length > 0 && text[length - 1] != '\0')
    return false;
  uint64_t found = 0;
  for (uint32_t i = 0; i < length; i++)
    found += text[i] == '\0';
  return found == count;
}

static bool op_ok(const struct plan *plan, const struct op *op, uint8_t where) {
  if (op->code == 0 || op->code >= OP_CODE_END || op->flags > (OP_EXISTS_OK | OP_IGNORE_ERRORS))
    return false;
  const struct shape *shape = &shapes[op->code];
  if (!(shape->where & where) || !slot_ok(op->a, shape->a) || !slot_ok(op->b, shape->b))
    return false;
  if (op->code == OP_DUP && op->x > 9)
    return false;
  if (op->code == OP_GROUPS && op->s1_len % sizeof(uint32_t) != 0)
    return false;
  if (op->code == OP_SECCOMP && (op->s1_len % 8 != 0 || op->s1_len / 8 > 4096))
    return false;
  if (op->code == OP_NETLINK && (op->s1_len < 16 || (op->a != SLOT_NONE && op->x > op->s1_len - 4) ||
                                 (op->s2_len > 0 && op->y > op->s1_len - 4)))
    return false;
  return field_ok(plan, shape->s1, op->s1, op->s1_len, op->x) &&
         field_ok(plan, shape->s2, op->s2, op->s2_len, op->y) &&
         field_ok(plan, shape->s3, op->s3, op->s3_len, op->z);
}

static bool header_ok(const struct plan *plan, size_t size) {
  const struct plan_header *header = plan->header;
  if (header->size != size || header->flags > (PLAN_HOLD | PLAN_TERMINAL | PLAN_BACKPRESSURE | PLAN_PARK))
    return false;
  if (header->op_count > (size - sizeof *header) / sizeof(struct op))
    return false;
  uint32_t before = 0;
  for (int i = 0; i < SECTION_COUNT; i++) {
    if (header->section_end[i] < before || header->section_end[i] > header->op_count)
      return false;
    before = header->section_end[i];
  }
  const uint16_t slots[] = {header->cgroup_slot, header->log_slot,    header->stdin_slot,
                            header->stdout_slot, header->stderr_slot, header->gate_slot,
                            header->keep_slot,   header->run_slot,    header->attach_slot};
  for (size_t i = 0; i < sizeof slots / sizeof *slots; i++)
    if (!slot_ok(slots[i], OPTIONAL))
      return false;
  if ((header->flags & PLAN_HOLD) && header->run_slot == SLOT_NONE)
    return false;
  /* The launcher is made before anything is run, and holds nothing. */
  if ((header->flags & PLAN_PARK) && (header->flags != PLAN_PARK || header->section_end[PARENT_BEFORE] != 0))
    return false;
  return before == header->op_count && field_ok(plan, STR, header->head, header->head_len, 0) &&
         field_ok(plan, STR, header->title, header->title_len, 0);
}

int plan_parse(const uint8_t *bytes, size_t size, struct plan *plan) {
  static const uint8_t where[SECTION_COUNT] = {IN_PARENT, IN_PARENT, IN_CHILD, IN_EXIT};
  if (size < sizeof(struct plan_header) || size > PLAN_MAX_BYTES || (uintptr_t)bytes % 8 != 0)
    return -EINVAL;
  plan->bytes = bytes;
  plan->header = (const void *)bytes;
  plan->ops = (const void *)(bytes + sizeof(struct plan_header));
  if (plan->header->magic != PLAN_MAGIC || plan->header->version != PLAN_VERSION)
    return -EPROTO;
  if (!header_ok(plan, size))
    return -EINVAL;
  uint32_t i = 0;
  for (int section = 0; section < SECTION_COUNT; section++)
    for (; i < plan->header->section_end[section]; i++)
      if (!op_ok(plan, &plan->ops[i], where[section]))
        return -EINVAL;
  return 0;
}
