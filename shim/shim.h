/* The state of one shim, and what its parts offer each other. File order is run
 * order. */
#pragma once
#include "plan.h"
#include "wire.h"

#include <sys/types.h>

/* What parent and child need while a plan is executed. */
struct run {
  struct plan plan;
  int launch;                   /* connection to the server; -1 in the child and when the server
                                   is gone */
  int sync;                     /* this process's end of the sync socket */
  int child_sync;               /* the child's end, before there is a child */
  pid_t child;                  /* in the parent: the process that the plan makes */
  pid_t launcher;               /* clones the child in this process's stead; 0: there is none (park.c) */
  uint64_t launched_flags;      /* namespaces that the launcher has made already */
  bool committed;               /* the server has recorded this run: outlive it */
  bool start;                   /* the start gate may be opened */
  bool ready;                   /* the child waits at the gate */
  int private_fds;              /* child: lowest descriptor that must not survive exec */
  struct note told;             /* the child's NOTE_FAIL, once it has come */
  char **paths, **argv, **envp; /* of OP_EXEC, made before the clone */
};

/* Where and why a plan failed. */
struct failure {
  int section;
  uint32_t index;
  int error; /* errno, 0: none */
};

/* io.c */
int fd_of(uint16_t slot);
int slot_set(uint16_t slot, int fd); /* takes fd */
int write_all(int fd, const void *bytes, size_t length);
int write_path(int folder, const char *path, const void *bytes, size_t length);
ssize_t read_path(const char *path, char *buffer, size_t size);
char *put_text(char *at, const char *text);
char *put_number(char *at, uint64_t number);
uint64_t now_ns(void);
uint64_t process_start_time(pid_t pid);
int send_message(int fd, const struct message *message);
int send_note(int sync, struct note note, int fd);
int recv_note(int sync, struct note *note, int *fd);

/* found.c */
extern struct found found; /* what this process saw, or was told of by its child */
size_t found_size(void);
void look_for_program(char **paths);
int send_failure(int sync, struct note note);
int report_failure(int fd, const struct failure *failure);

/* steps.c, steps-mount.c, steps-process.c */
int step(struct run *run, const struct op *op);
int step_mount(const struct plan *plan, const struct op *op);
int step_process(struct run *run, const struct op *op);
int open_in_root(int root, const char *path, uint64_t flags, uint64_t mode);
int seclude(struct run *run, int *fd);

/* init.c */
int become_init(void);
int init_main(const char *main_pid);

/* main.c */
enum { DESCRIPTORS_MAX = 2 + INHERIT_MAX };
int receive(int socket_fd, int *descriptors);
int take_plan(struct run *run, int plan_fd, const int *slots, int count);

/* launch.c */
struct failure failed(int section, uint32_t index, int error);
struct failure run_section(struct run *run, int section);
_Noreturn void run_child(struct run *run);
pid_t clone_child(const struct run *run);
int make_sync(struct run *run);
struct failure launch(struct run *run);
void after_exit(struct run *run, char **record_end, const char *record_limit);
int await_note(struct run *run, uint32_t kind, struct note *note, int *fd);
int await_answer(struct run *run, int question);

/* park.c */
bool park(struct run *run, struct failure *failure);
pid_t clone_by_launcher(struct run *run);
void unpark(struct run *run);

/* record.c */
int write_state(const struct run *run, const struct message *created);
int write_exit_record(struct run *run, int code, int signal, const struct failure *failure);

/* log.c */
struct log_position {
  uint32_t serial;
  uint64_t offset;
};
int log_open(const struct plan_header *header);
void log_write(bool is_stderr, const char *bytes, size_t length);
int log_reopen(void);
struct log_position log_position(void);

/* A pipe as the kernel makes it; as wide as one becomes that was found full. */
enum { PIPE_USUAL = 64 << 10, PIPE_WIDE = 256 << 10 };

/* input.c */
void input_open(int fd);
void input_close(void);
int input_full(void);
void input_feed(const char *bytes, size_t length);
void input_flush(void);

/* attach.c */
enum { CLIENTS_MAX = 24, OUTPUT_MAX = 256 << 10 /* most bytes of a frame */ };
int listen_in(int folder, const char *name);
void attach_configure(bool backpressure);
void attach_add(int fd);
void attach_accept(int listener);
int attach_poll_set(void *poll_entries);
void attach_handle(const void *poll_entries);
void attach_output(bool is_stderr, const char *bytes, size_t length, struct log_position from,
                   struct log_position to);
bool attach_pending(void);
void attach_end(void);

/* hold.c */
/* Whatever of holding can be done while the child is still at work; once. */
void prepare_hold(struct run *run);
int hold(struct run *run);
/* What it has in the run's folder for others to find. */
void remove_names(const struct run *run);
