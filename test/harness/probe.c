/*
 * Asks the kernel, from inside a container, what no shell can ask:
 *   probe ids                  real, effective and saved ids, then the groups
 *   probe open PATH [w]        opens and reads (writes) one byte
 *   probe node TYPE MAJOR MINOR    makes a device node in /tmp and opens it
 *   probe sticky               pushes a character into its terminal
 *   probe args                 number and bytes of arguments and environment
 *   probe eat MB               touches so much memory
 *   probe hold MB              the same, then waits
 *   probe huge MB              the same of huge pages of 2 MB
 *   probe spawn N              how many children can be had at once, up to N
 *   probe watch SECONDS        every path that a descriptor, root, working
 *                              folder or program of another process shows
 *   probe swap A B             exchanges two names as fast as it can
 *   probe sleep                waits without end
 * Prints "ok", or the name of the errno.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

static int tell(bool good) {
  puts(good ? "ok" : strerrorname_np(errno));
  return 0;
}

static int ids(void) {
  uid_t user[3];
  gid_t group[3];
  gid_t groups[256];
  (void)getresuid(&user[0], &user[1], &user[2]);
  (void)getresgid(&group[0], &group[1], &group[2]);
  int count = getgroups(256, groups);
  printf("%u %u %u %u %u %u groups", user[0], user[1], user[2], group[0], group[1], group[2]);
  for (int i = 0; i < count; i++)
    printf(" %u", groups[i]);
  puts("");
  return 0;
}

static int try_open(const char *path, bool write_it) {
  int fd = open(path, (write_it ? O_WRONLY : O_RDONLY) | O_NONBLOCK);
  if (fd < 0)
    return tell(false);
  char byte = 0;
  return tell((write_it ? write(fd, &byte, 1) : read(fd, &byte, 1)) >= 0);
}

static int node(char **argv) {
  const char *path = "/tmp/probe-node";
  (void)unlink(path);
  dev_t number = makedev((unsigned)atoi(argv[1]), (unsigned)atoi(argv[2]));
  if (mknod(path, (argv[0][0] == 'b' ? S_IFBLK : S_IFCHR) | 0666, number) < 0) {
    printf("mknod ");
    return tell(false);
  }
  return try_open(path, false);
}

static int eat(size_t bytes, int flags) {
  char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  if (memory == MAP_FAILED)
    return tell(false);
  for (size_t i = 0; i < bytes; i += 4096)
    memory[i] = 1;
  return tell(true);
}

static int spawn(int wanted) {
  int had = 0;
  while (had < wanted) {
    pid_t child = fork();
    if (child == 0) {
      (void)pause();
      _exit(0);
    }
    if (child < 0)
      break;
    had++;
  }
  printf("%d ", had);
  tell(had == wanted);
  (void)fflush(stdout);
  (void)signal(SIGTERM, SIG_IGN);
  (void)kill(0, SIGTERM);
  return 0;
}

static char seen[512][256];
static size_t seen_count;

static void see(const char *what, const char *target) {
  char line[256];
  (void)snprintf(line, sizeof line, "%s %.200s", what, target);
  for (size_t i = 0; i < seen_count; i++)
    if (strcmp(seen[i], line) == 0)
      return;
  if (seen_count == 512)
    return;
  (void)strcpy(seen[seen_count++], line);
}

static void look_at(const char *pid, const char *name) {
  char path[600];
  char target[256];
  (void)snprintf(path, sizeof path, "/proc/%.32s/%.32s", pid, name);
  ssize_t length = readlink(path, target, sizeof target - 1);
  if (length < 0)
    return;
  target[length] = 0;
  see(name, target);
}

static void look_at_fds(const char *pid) {
  char path[64];
  (void)snprintf(path, sizeof path, "/proc/%.32s/fd", pid);
  DIR *fds = opendir(path);
  if (fds == NULL)
    return;
  for (struct dirent *fd; (fd = readdir(fds)) != NULL;) {
    char link[400];
    char target[256];
    (void)snprintf(link, sizeof link, "/proc/%.32s/fd/%.200s", pid, fd->d_name);
    ssize_t length = readlink(link, target, sizeof target - 1);
    if (length > 0) {
      target[length] = 0;
      /* A path that leads anywhere when followed is worse than one shown. */
      see("fd", target);
    }
  }
  (void)closedir(fds);
}

static void try_program(const char *pid) {
  char path[64];
  (void)snprintf(path, sizeof path, "/proc/%.32s/exe", pid);
  int fd = open(path, O_WRONLY);
  if (fd < 0)
    return;
  char target[256];
  ssize_t length = readlink(path, target, sizeof target - 1);
  target[length < 0 ? 0 : length] = 0;
  see("writable", target);
  (void)close(fd);
}

static int watch(int seconds) {
  char own[16];
  (void)snprintf(own, sizeof own, "%d", getpid());
  time_t end = time(NULL) + seconds;
  while (time(NULL) < end) {
    DIR *all = opendir("/proc");
    if (all == NULL)
      return tell(false);
    for (struct dirent *entry; (entry = readdir(all)) != NULL;) {
      const char *pid = entry->d_name;
      if (pid[0] < '0' || pid[0] > '9' || strcmp(pid, own) == 0)
        continue;
      look_at(pid, "exe");
      look_at(pid, "root");
      look_at(pid, "cwd");
      look_at_fds(pid);
      try_program(pid);
    }
    (void)closedir(all);
  }
  for (size_t i = 0; i < seen_count; i++)
    puts(seen[i]);
  return 0;
}

static int swap(const char *a, const char *b) {
  for (;;)
    if (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) < 0)
      return tell(false);
}

static int arguments(int argc, char **argv) {
  size_t count = 0;
  size_t bytes = 0;
  for (int i = 0; i < argc; i++)
    bytes += strlen(argv[i]) + 1;
  for (char **variable = environ; *variable != NULL; variable++) {
    count++;
    bytes += strlen(*variable) + 1;
  }
  printf("%d %zu %zu\n", argc, count, bytes);
  return 0;
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "ids") == 0)
    return ids();
  if (strcmp(what, "open") == 0 && argc >= 3)
    return try_open(argv[2], argc > 3);
  if (strcmp(what, "node") == 0 && argc == 5)
    return node(argv + 2);
  if (strcmp(what, "sticky") == 0)
    return tell(ioctl(0, TIOCSTI, "x") == 0);
  if (strcmp(what, "args") == 0)
    return arguments(argc, argv);
  if (strcmp(what, "eat") == 0 && argc == 3)
    return eat((size_t)atoi(argv[2]) << 20, 0);
  if (strcmp(what, "huge") == 0 && argc == 3)
    return eat((size_t)atoi(argv[2]) << 20, MAP_HUGETLB | 21 << MAP_HUGE_SHIFT);
  if (strcmp(what, "hold") == 0 && argc == 3)
    return eat((size_t)atoi(argv[2]) << 20, 0) + pause();
  if (strcmp(what, "spawn") == 0 && argc == 3)
    return spawn(atoi(argv[2]));
  if (strcmp(what, "watch") == 0 && argc == 3)
    return watch(atoi(argv[2]));
  if (strcmp(what, "swap") == 0 && argc == 4)
    return swap(argv[2], argv[3]);
  if (strcmp(what, "sleep") == 0)
    return pause();
  return 2;
}
