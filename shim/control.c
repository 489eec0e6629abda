/* The server's conversation with a running shim: over the launch connection,
 * and over the control socket after a restart of the server. */
#define _GNU_SOURCE
#include "hold.h"

#include <errno.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

void say(const struct holder *self, const struct message *message) {
  for (int i = 0; i < CONTROLS_MAX; i++)
    if (self->controls[i].fd >= 0)
      (void)send_message(self->controls[i].fd, message);
}

void say_failure(const struct holder *self) {
  for (int i = 0; i < CONTROLS_MAX; i++)
    if (self->controls[i].fd >= 0)
      (void)report_failure(self->controls[i].fd, &self->failure);
}

void open_gate(const struct holder *self) {
  if (self->run->start && self->run->ready && !self->started)
    (void)write_all(fd_of(self->run->plan.header->gate_slot), "", 1);
}

static int resize(const struct holder *self, const struct message *message) {
  struct winsize size = {.ws_row = (unsigned short)message->a, .ws_col = (unsigned short)message->b};
  return ioctl(self->out[0], TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

static int obey(struct holder *self, const struct message *message) {
  switch (message->type) {
  case MSG_COMMIT:
    self->run->committed = true;
    if (message->a == 0)
      return 0;
    /* fall through */
  case MSG_START:
    self->run->start = true;
    open_gate(self);
    return 0;
  case MSG_SIGNAL:
    return self->ended ? -ESRCH : kill(self->run->child, message->a) < 0 ? -errno : 0;
  case MSG_RESIZE:
    return resize(self, message);
  case MSG_CLOSE_STDIN:
    input_close();
    return 0;
  case MSG_REOPEN_LOG:
    return log_reopen();
  case MSG_STATUS:
    return 0;
  default:
    return -EOPNOTSUPP;
  }
}

/* Without a commit the end of the launch connection is the end of the launch.
 * It stays open as long as this process, so that whoever still listens knows
 * when everything is undone. */
static void close_control(struct holder *self, int i) {
  if (i == 0 && !self->run->committed)
    (void)kill(self->run->child, SIGKILL);
  else
    (void)close(self->controls[i].fd);
  self->controls[i].fd = -1;
}

/* Whoever sends half a message and waits holds up nobody but himself. */
void read_control(struct holder *self, int i) {
  struct control *control = &self->controls[i];
  struct message *message = &control->message;
  ssize_t got =
      recv(control->fd, (char *)message + control->have, sizeof *message - control->have, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  control->have += got > 0 ? (size_t)got : 0;
  if (got > 0 && control->have < sizeof *message)
    return;
  control->have = 0;
  if (got <= 0 || message->version != WIRE_VERSION) {
    close_control(self, i);
    return;
  }
  struct message reply = {
      .type = MSG_REPLY, .version = WIRE_VERSION, .seq = message->seq, .a = -obey(self, message)};
  if (message->type != MSG_COMMIT)
    (void)send_message(control->fd, &reply);
}

void accept_control(struct holder *self) {
  int fd = accept4(self->control, NULL, NULL, SOCK_CLOEXEC);
  struct ucred peer = {.uid = (uid_t)-1};
  socklen_t size = sizeof peer;
  int i = 1;
  while (i < CONTROLS_MAX && self->controls[i].fd >= 0)
    i++;
  if (fd < 0)
    return;
  (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
  if (peer.uid != geteuid() || i == CONTROLS_MAX || (self->created && send_message(fd, &self->known) < 0)) {
    (void)close(fd);
    return;
  }
  self->controls[i] = (struct control){.fd = fd};
  struct message message = self->known;
  message.type = MSG_STARTED;
  if (self->started)
    (void)send_message(fd, &message);
}
