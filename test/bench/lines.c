/*
 * Writes log lines as fast as they are taken: lines BYTES
 * [MILLISECONDS_BETWEEN_WRITES] Each line has 100 bytes and begins with its
 * number, so that a lost or torn one is seen; each write has 40 of them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE 100
#define LINES_PER_WRITE 40

int main(int argc, char **argv) {
  if (argc < 2)
    return 2;
  unsigned long long bytes = strtoull(argv[1], NULL, 10), number = 0;
  unsigned long pause = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
  char buffer[LINE * LINES_PER_WRITE + 1];
  memset(buffer, 'x', sizeof buffer);
  for (unsigned long long written = 0; written < bytes; written += LINE * LINES_PER_WRITE) {
    for (int i = 0; i < LINES_PER_WRITE; i++) {
      char *line = buffer + i * LINE;
      (void)snprintf(line, LINE, "%012llu", number++);
      line[12] = ' ';
      line[LINE - 1] = '\n';
    }
    for (size_t done = 0; done < LINE * LINES_PER_WRITE;) {
      ssize_t put = write(1, buffer + done, LINE * LINES_PER_WRITE - done);
      if (put < 0 && errno == EINTR)
        continue;
      if (put < 0)
        return 1;
      done += (size_t)put;
    }
    if (pause > 0)
      (void)usleep((useconds_t)(pause * 1000));
  }
  return 0;
}
