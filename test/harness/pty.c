/*
 * Runs a program on a terminal for a test: pty ROWS COLUMNS PROGRAM [ARG]...
 * Standard input is typed, what the terminal shows goes to standard output. A
 * line "ROWS COLUMNS" on descriptor 3 changes the window's size. The exit
 * status is the program's, or 128 + signal.
 */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static bool copy(int from, int to) {
  char buffer[65536];
  ssize_t got = read(from, buffer, sizeof buffer);
  if (got < 0 && errno == EINTR)
    return true;
  if (got <= 0)
    return false; /* EIO: nobody has the terminal open any more */
  for (ssize_t done = 0; done < got;) {
    ssize_t put = write(to, buffer + done, (size_t)(got - done));
    if (put < 0 && errno == EINTR)
      continue;
    if (put <= 0)
      return false;
    done += put;
  }
  return true;
}

static bool resize(int control, int terminal) {
  char line[64];
  ssize_t got = read(control, line, sizeof line - 1);
  if (got <= 0)
    return false;
  line[got] = 0;
  char *rest;
  unsigned long rows = strtoul(line, &rest, 10), columns = strtoul(rest, NULL, 10);
  struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
  (void)ioctl(terminal, TIOCSWINSZ, &size);
  return true;
}

int main(int argc, char **argv) {
  if (argc < 4)
    return 2;
  struct winsize size = {.ws_row = (unsigned short)strtoul(argv[1], NULL, 10),
                         .ws_col = (unsigned short)strtoul(argv[2], NULL, 10)};
  int terminal;
  pid_t child = forkpty(&terminal, NULL, NULL, &size);
  if (child < 0) {
    perror("pty: forkpty");
    return 1;
  }
  if (child == 0) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)close(3);
    execvp(argv[3], argv + 3);
    perror(argv[3]);
    _exit(127);
  }
  struct pollfd fds[] = {
      {.fd = terminal, .events = POLLIN}, {.fd = 0, .events = POLLIN}, {.fd = 3, .events = POLLIN}};
  for (;;) {
    if (poll(fds, 3, -1) < 0 && errno != EINTR)
      break;
    if (fds[0].revents != 0 && !copy(terminal, 1))
      break;
    /* a closed input is a person who types nothing more */
    if (fds[1].revents != 0 && !copy(0, terminal))
      fds[1].fd = -1;
    if (fds[2].revents != 0 && !resize(3, terminal))
      fds[2].fd = -1;
  }
  int status;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
