/*
 * Calls the fuzzing entry of the plan reader with changed plans for a number of
 * seconds: a short, repeatable run for every test run, by the machine's own
 * compiler. scripts/fuzz.sh searches longer and cleverer with libFuzzer.
 *
 *     mutate SECONDS SEED FILE...
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CASES_MAX = 64, SIZE_MAX_BYTES = 1 << 16 };

static uint8_t *cases[CASES_MAX];
static size_t sizes[CASES_MAX];
static uint64_t state;

static uint64_t next(void) { /* xorshift64: the same numbers each time */
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

/* Numbers at which comparisons tip over. */
static uint32_t edge(size_t size) {
  const uint32_t edges[] = {0,
                            1,
                            3,
                            4,
                            7,
                            8,
                            10,
                            191,
                            192,
                            0x7fff,
                            0xffff,
                            0x7fffffff,
                            0x80000000,
                            0xffffffff,
                            0xfffffffc,
                            (uint32_t)size,
                            (uint32_t)size - 1,
                            (uint32_t)size + 1,
                            96,
                            152};
  return edges[next() % (sizeof edges / sizeof *edges)];
}

static size_t change(uint8_t *bytes, size_t size) {
  for (uint64_t left = 1 + next() % 4; left > 0 && size > sizeof(struct plan_header); left--) {
    size_t at = next() % (size - 8);
    uint32_t number = edge(size);
    switch (next() % 6) {
    case 0:
      bytes[at] ^= (uint8_t)(1u << next() % 8);
      break;
    case 1:
      bytes[at] = (uint8_t)next();
      break;
    case 2: /* a 16-bit field: code, flags, slot */
      memcpy(bytes + (at & ~(size_t)1), &number, 2);
      break;
    case 3: /* a 32-bit field: offset, length, count */
      memcpy(bytes + (at & ~(size_t)3), &number, 4);
      break;
    case 4: { /* one operation over another */
      size_t ops = (size - sizeof(struct plan_header)) / sizeof(struct op);
      if (ops < 2)
        break;
      uint8_t *first = bytes + sizeof(struct plan_header);
      memmove(first + next() % ops * sizeof(struct op), first + next() % ops * sizeof(struct op),
              sizeof(struct op));
      break;
    }
    default:
      size = next() % 16 == 0 ? size - next() % 8 : size;
      number = (uint32_t)size; /* so that not all of them fail at the size */
      memcpy(bytes + offsetof(struct plan_header, size), &number, 4);
    }
  }
  return size;
}

int main(int argc, char **argv) {
  static uint8_t bytes[SIZE_MAX_BYTES];
  size_t count = 0;
  uint64_t runs = 0;
  for (int i = 3; i < argc && count < CASES_MAX; i++) {
    FILE *file = fopen(argv[i], "rb");
    if (file == NULL)
      return 2;
    sizes[count] = fread(bytes, 1, sizeof bytes, file);
    cases[count] = malloc(sizes[count]);
    memcpy(cases[count], bytes, sizes[count]);
    count++;
    (void)fclose(file);
  }
  if (count == 0)
    return 2;
  state = strtoull(argv[2], NULL, 10) | 1;
  time_t end = time(NULL) + strtol(argv[1], NULL, 10);
  while (runs % 1024 != 0 || time(NULL) < end) {
    size_t which = next() % count;
    memcpy(bytes, cases[which], sizes[which]);
    (void)LLVMFuzzerTestOneInput(bytes, change(bytes, sizes[which]));
    runs++;
  }
  printf("%llu\n", (unsigned long long)runs);
  return 0;
}
