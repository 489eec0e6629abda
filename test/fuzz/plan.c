/*
 * libFuzzer around the reader of launch plans: it stands between a file and the
 * kernel, as root, so no bytes may make it read outside them, and what it
 * accepts must be safe to walk from end to end. Built and run by
 * scripts/fuzz.sh.
 */
#include <stdlib.h>
#include <string.h>

#include "plan.h"

/* where the walk ends up, so that no compiler leaves it out */
static volatile size_t walked;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  /* a copy of exactly this size, so that one byte too many is seen; aligned, as
   * a mapped plan is */
  uint8_t *bytes = malloc(size);
  if (bytes == NULL)
    return 0;
  memcpy(bytes, data, size);
  struct plan plan;
  if (plan_parse(bytes, size, &plan) == 0) {
    for (uint32_t i = 0; i < plan.header->op_count; i++) {
      const struct op *op = &plan.ops[i];
      for (uint32_t j = 0; j < op->s1_len; j++)
        walked += bytes[op->s1 + j];
      for (uint32_t j = 0; j < op->s2_len; j++)
        walked += bytes[op->s2 + j];
      for (uint32_t j = 0; j < op->s3_len; j++)
        walked += bytes[op->s3 + j];
      /* the shim writes a descriptor's number into the message there */
      if (op->code == OP_NETLINK && op->a != SLOT_NONE)
        for (uint64_t j = 0; j < 4; j++)
          walked += bytes[op->s1 + op->x + j];
    }
  }
  free(bytes);
  return 0;
}
