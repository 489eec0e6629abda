/*
 * What the shim makes of plans, in text: reads cases from standard input, each
 * a little-endian length and as many bytes, and prints for each the result of
 * plan_parse and, of an accepted one, every field. Strings are in hex.
 */
#include <stdio.h>
#include <stdlib.h>

#include "plan.h"

static void put_field(const struct plan *plan, uint32_t at, uint32_t length) {
  putchar(' ');
  for (uint32_t i = 0; i < length; i++)
    printf("%02x", plan->bytes[at + i]);
  putchar('.');
}

static void put_plan(const struct plan *plan) {
  const struct plan_header *h = plan->header;
  printf(" %u %u %u %u %u %llu", h->flags, h->section_end[0], h->section_end[1], h->section_end[2],
         h->section_end[3], (unsigned long long)h->clone_flags);
  printf(" %u %u %u %u %u %u %u %u %u", h->cgroup_slot, h->run_slot, h->log_slot, h->stdin_slot,
         h->stdout_slot, h->stderr_slot, h->gate_slot, h->keep_slot, h->attach_slot);
  printf(" %u %u %llu", h->log_serial, h->log_max_files, (unsigned long long)h->log_max_bytes);
  put_field(plan, h->head, h->head_len);
  put_field(plan, h->title, h->title_len);
  putchar('\n');
  for (uint32_t i = 0; i < h->op_count; i++) {
    const struct op *op = &plan->ops[i];
    printf("op %u %u %u %u", op->code, op->flags, op->a, op->b);
    put_field(plan, op->s1, op->s1_len);
    put_field(plan, op->s2, op->s2_len);
    put_field(plan, op->s3, op->s3_len);
    printf(" %llu %llu %llu\n", (unsigned long long)op->x, (unsigned long long)op->y,
           (unsigned long long)op->z);
  }
}

int main(void) {
  uint32_t size;
  while (fread(&size, sizeof size, 1, stdin) == 1) {
    /* Exactly this size, so that the sanitizer sees one byte too many. */
    uint8_t *bytes = malloc(size);
    if (size > 0 && fread(bytes, size, 1, stdin) != 1)
      return 2;
    struct plan plan;
    int result = plan_parse(bytes, size, &plan);
    printf("case %d", result);
    if (result == 0)
      put_plan(&plan);
    else
      putchar('\n');
    free(bytes);
  }
  return 0;
}
