/*
 * The floor under a container start: what the kernel takes for the same
 * isolation when nothing else is done. Each round makes the control groups,
 * clones into new mount, pid, uts, ipc and net namespaces, joins, unshares the
 * cgroup namespace, mounts overlay, proc, sys, dev, devpts, mqueue and shm,
 * pivots, executes /bin/true, waits, and removes what it made.
 *
 *   floor ROOTFS FOLDER COUNT [PARALLEL]     prints {"ms":[...],"wallMs":...}
 *
 * ROOTFS is the lower directory; upper and work are made below FOLDER. Run as
 * root in a mount namespace of your own.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HIERARCHIES 32
#define ROUNDS 10000

struct hierarchy {
  char parent[PATH_MAX / 2]; /* below it one group for each round */
  char group[PATH_MAX];
  bool v2;
};

static struct hierarchy hierarchies[HIERARCHIES];
static size_t hierarchy_count;
static const char *rootfs;
static char upper[PATH_MAX], work[PATH_MAX], merged[PATH_MAX], options[3 * PATH_MAX + 128];

/* a failed step is a wrong measurement: stop and name it */
static void must(bool ok, const char *step) {
  if (ok)
    return;
  (void)dprintf(2, "floor: %s: %s\n", step, strerror(errno));
  _exit(1);
}

static double now_ms(void) {
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void write_file(const char *folder, const char *name, const char *text) {
  char path[PATH_MAX];
  must((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) < sizeof path, "path");
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  must(fd >= 0, path);
  must(write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
  must(close(fd) == 0, path);
}

static bool exists(const char *folder, const char *name) {
  char path[PATH_MAX];
  if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path)
    return false;
  return access(path, F_OK) == 0;
}

/* what the parent may hand down, its groups get: that is what a limit needs */
static void enable_controllers(const char *parent) {
  char path[PATH_MAX], have[1024];
  must((size_t)snprintf(path, sizeof path, "%s/cgroup.controllers", parent) < sizeof path, "path");
  FILE *file = fopen(path, "re");
  must(file != NULL, path);
  bool any = fgets(have, sizeof have, file) != NULL;
  (void)fclose(file);
  if (!any)
    return;
  for (char *rest = have, *name; (name = strsep(&rest, " \n")) != NULL;) {
    char line[64];
    if (*name == 0 || (size_t)snprintf(line, sizeof line, "+%s", name) >= sizeof line)
      continue;
    write_file(parent, "cgroup.subtree_control", line);
  }
}

static void find_hierarchies(void) {
  FILE *file = fopen("/proc/self/mounts", "re");
  must(file != NULL, "/proc/self/mounts");
  char line[4096];
  while (fgets(line, sizeof line, file) != NULL && hierarchy_count < HIERARCHIES) {
    char at[1024], type[64];
    if (sscanf(line, "%*s %1023s %63s", at, type) != 2 || strncmp(type, "cgroup", 6) != 0)
      continue;
    struct hierarchy *h = &hierarchies[hierarchy_count++];
    h->v2 = strcmp(type, "cgroup2") == 0;
    must((size_t)snprintf(h->parent, sizeof h->parent, "%s/mydocker-floor-%d", at, getpid()) <
             sizeof h->parent,
         at);
    must(mkdir(h->parent, 0755) == 0, h->parent);
    /* a group without processors takes no process: let each inherit them */
    if (exists(h->parent, "cpuset.cpus") && !h->v2) {
      write_file(h->parent, "cgroup.clone_children", "1");
      char list[2][256];
      for (int i = 0; i < 2; i++) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof path, "%s/%s", at, i == 0 ? "cpuset.cpus" : "cpuset.mems");
        FILE *source = fopen(path, "re");
        must(source != NULL && fgets(list[i], sizeof list[i], source) != NULL, path);
        (void)fclose(source);
        write_file(h->parent, i == 0 ? "cpuset.cpus" : "cpuset.mems", list[i]);
      }
    }
    if (h->v2)
      enable_controllers(h->parent);
  }
  (void)fclose(file);
}

static void mount_at(const char *type, const char *at, unsigned long flags, const char *data) {
  must(mount(type, at, type, flags, data) == 0, at);
}

static void make_devices(void) {
  static const struct {
    const char *path;
    unsigned minor;
    unsigned major;
  } nodes[] = {{"dev/null", 3, 1},   {"dev/zero", 5, 1},    {"dev/full", 7, 1},
               {"dev/random", 8, 1}, {"dev/urandom", 9, 1}, {"dev/tty", 0, 5}};
  for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
    must(mknod(nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) == 0, nodes[i].path);
  static const char *const links[][2] = {{"/proc/self/fd", "dev/fd"},
                                         {"/proc/self/fd/0", "dev/stdin"},
                                         {"/proc/self/fd/1", "dev/stdout"},
                                         {"/proc/self/fd/2", "dev/stderr"},
                                         {"pts/ptmx", "dev/ptmx"}};
  for (size_t i = 0; i < sizeof links / sizeof *links; i++)
    must(symlink(links[i][0], links[i][1]) == 0, links[i][1]);
  static const char *const folders[] = {"dev/pts", "dev/mqueue", "dev/shm"};
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
    must(mkdir(folders[i], 0755) == 0, folders[i]);
}

_Noreturn static void child(void) {
  for (size_t i = 0; i < hierarchy_count; i++)
    if (!hierarchies[i].v2)
      write_file(hierarchies[i].group, "cgroup.procs", "0");
  /* after joining, else the namespace's root is somebody else's group */
  must(unshare(CLONE_NEWCGROUP) == 0, "unshare");
  must(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == 0, "rslave");
  must(mount("overlay", merged, "overlay", 0, options) == 0, "overlay");
  must(chdir(merged) == 0, "chdir");
  const unsigned long plain = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  mount_at("proc", "proc", plain, NULL);
  mount_at("sysfs", "sys", plain | MS_RDONLY, NULL);
  mount_at("tmpfs", "dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k");
  make_devices();
  mount_at("devpts", "dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5");
  mount_at("mqueue", "dev/mqueue", plain, NULL);
  mount_at("tmpfs", "dev/shm", plain, "mode=1777,size=65536k");
  must(syscall(SYS_pivot_root, ".", ".") == 0, "pivot_root");
  must(umount2(".", MNT_DETACH) == 0, "umount");
  must(chdir("/") == 0, "chdir");
  must(sethostname("floor", 5) == 0, "sethostname");
  char *argv[] = {(char[]){"true"}, NULL}, *environment[] = {NULL};
  (void)execve("/bin/true", argv, environment);
  must(false, "/bin/true");
  _exit(127);
}

/* overlay leaves one or two empty folders in work */
static void remove_tree(const char *path) {
  if (rmdir(path) == 0 || errno == ENOENT)
    return;
  must(errno == ENOTEMPTY, path);
  DIR *folder = opendir(path);
  must(folder != NULL, path);
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
      continue;
    must(unlinkat(dirfd(folder), entry->d_name, AT_REMOVEDIR) == 0, entry->d_name);
  }
  (void)closedir(folder);
  must(rmdir(path) == 0, path);
}

static double once(unsigned worker, unsigned long number) {
  double started = now_ms();
  must(mkdir(upper, 0755) == 0 && mkdir(work, 0700) == 0, upper);
  int v2 = -1;
  for (size_t i = 0; i < hierarchy_count; i++) {
    struct hierarchy *h = &hierarchies[i];
    int length = snprintf(h->group, sizeof h->group, "%s/%u-%lu", h->parent, worker, number);
    must(length > 0 && (size_t)length < sizeof h->group, "path");
    must(mkdir(h->group, 0755) == 0, h->group);
    if (h->v2)
      v2 = open(h->group, O_PATH | O_DIRECTORY | O_CLOEXEC);
  }
  struct clone_args args = {
      .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET,
      .exit_signal = SIGCHLD,
  };
  if (v2 >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = (__u64)v2;
  }
  long pid = syscall(SYS_clone3, &args, sizeof args);
  must(pid >= 0, "clone3");
  if (pid == 0)
    child();
  int status;
  must(waitpid((pid_t)pid, &status, 0) == pid && status == 0, "the child");
  if (v2 >= 0)
    (void)close(v2);
  for (size_t i = 0; i < hierarchy_count; i++)
    must(rmdir(hierarchies[i].group) == 0, hierarchies[i].group);
  remove_tree(upper);
  remove_tree(work);
  return now_ms() - started;
}

static void prepare(const char *folder, unsigned worker) {
  char base[PATH_MAX / 2];
  must((size_t)snprintf(base, sizeof base, "%s/floor-%d-%u", folder, getppid(), worker) < sizeof base,
       "path");
  must(mkdir(base, 0700) == 0, base);
  (void)snprintf(upper, sizeof upper, "%s/upper", base);
  (void)snprintf(work, sizeof work, "%s/work", base);
  (void)snprintf(merged, sizeof merged, "%s/merged", base);
  (void)snprintf(options, sizeof options,
                 "lowerdir=%s,upperdir=%s,workdir=%s,redirect_dir=off,metacopy="
                 "off,index=off,xino=off",
                 rootfs, upper, work);
  must(mkdir(merged, 0755) == 0, merged);
}

static void tidy(const char *folder, unsigned worker) {
  char base[PATH_MAX / 2];
  (void)snprintf(base, sizeof base, "%s/floor-%d-%u", folder, getppid(), worker);
  must(rmdir(merged) == 0 && rmdir(base) == 0, base);
}

int main(int argc, char **argv) {
  if (argc < 4)
    return 2;
  rootfs = argv[1];
  unsigned long count = strtoul(argv[3], NULL, 10), parallel = argc > 4 ? strtoul(argv[4], NULL, 10) : 1;
  if (count < 1 || count > ROUNDS || parallel < 1 || parallel > 64)
    return 2;
  double *ms =
      mmap(NULL, (ROUNDS + 1) * sizeof *ms, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  must(ms != MAP_FAILED, "mmap");
  _Atomic unsigned long *next = (void *)(ms + ROUNDS);
  find_hierarchies();
  double started = now_ms();
  for (unsigned worker = 0; worker < parallel; worker++) {
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid > 0)
      continue;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    prepare(argv[2], worker);
    for (unsigned long number; (number = (*next)++) < count;)
      ms[number] = once(worker, number);
    tidy(argv[2], worker);
    _exit(0);
  }
  int status, failed = 0;
  while (wait(&status) > 0)
    failed |= status;
  double wall = now_ms() - started;
  for (size_t i = 0; i < hierarchy_count; i++)
    (void)rmdir(hierarchies[i].parent);
  if (failed != 0)
    return 1;
  (void)printf("{\"ms\":[");
  for (unsigned long i = 0; i < count; i++)
    (void)printf("%s%.3f", i == 0 ? "" : ",", ms[i]);
  (void)printf("],\"wallMs\":%.3f}\n", wall);
  return 0;
}
