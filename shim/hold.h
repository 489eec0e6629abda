/* What the loop (hold.c) and the conversation with the server (control.c)
 * share. */
#pragma once
#include "shim.h"

enum { CONTROLS_MAX = 8 };

/* A connection of the server, and what came of its present message. */
struct control {
  int fd;
  size_t have;
  struct message message;
};

struct holder {
  struct run *run;
  int signal_fd, control, attach;
  int out[2];                            /* stdout or the pty's master, stderr; -1 when everybody has
                                            closed it */
  struct control controls[CONTROLS_MAX]; /* [0]: the launch connection */
  struct message known;                  /* who the process is; all zero before that is known */
  bool created, started, ended;
  int status; /* of the ended process, as wait(2) has it */
  struct failure failure;
};

void say(const struct holder *self, const struct message *message);
void say_failure(const struct holder *self);
void open_gate(const struct holder *self);
void read_control(struct holder *self, int i);
void accept_control(struct holder *self);
