/*
 * Clients of the container's stdio. With a log a slow client loses frames and
 * reads the hole from the log; without one (backpressure) its slowness reaches
 * the process. Each client costs a socket and, while it lags, one buffer.
 */
#define _GNU_SOURCE
#include "shim.h"

#include "scope.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

enum { CHUNK = 64 << 10, PENDING_MAX = OUTPUT_MAX + 4 * (int)sizeof(struct frame) };

struct client {
  int fd;
  bool greeted, behind; /* behind: frames were left out for it since the last one */
  uint8_t flags;
  uint32_t header_have, data_left; /* what came of the present frame */
  struct frame header;
  char *pending; /* rest of a frame that the socket did not take */
  size_t pending_at, pending_end;
};

static struct client clients[CLIENTS_MAX];
static int client_count;
static bool backpressure;

/* Connections that may wait; one more would be an error to who does not wait for it. */
enum { LISTEN_BACKLOG = 128 };

int listen_in(int folder, const char *name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  /* Through the folder's descriptor: the folder's path may be longer than
   * sun_path. */
  char *at = put_number(put_text(address.sun_path, "/proc/self/fd/"), (uint64_t)folder);
  (void)put_text(put_text(at, "/"), name);
  AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
    return -errno;
  return fd_take(&fd);
}

void attach_configure(bool wait_for_clients) { backpressure = wait_for_clients; }

/* Those that have left make room. */
static void sweep(void) {
  int kept = 0;
  for (int i = 0; i < client_count; i++)
    if (clients[i].fd >= 0)
      clients[kept++] = clients[i];
  client_count = kept;
}

void attach_add(int fd) {
  sweep();
  if (client_count == CLIENTS_MAX) {
    (void)close(fd);
    return;
  }
  clients[client_count++] = (struct client){.fd = fd};
}

/* Only the user that runs the server may attach, whoever can reach the folder.
 */
void attach_accept(int listener) {
  int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (fd >= 0 && (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.uid != geteuid())) {
    (void)close(fd);
    return;
  }
  if (fd >= 0)
    attach_add(fd);
}

static void drop(struct client *client) {
  if (client->flags & ATTACH_STDIN_ONCE)
    input_close();
  (void)close(client->fd);
  client->fd = -1;
  if (client->pending != NULL)
    (void)munmap(client->pending, PENDING_MAX);
  client->pending = NULL;
}

static void keep_rest(struct client *client, const struct iovec *parts, size_t skip) {
  if (client->pending == NULL) {
    client->pending = mmap(NULL, PENDING_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (client->pending == MAP_FAILED) {
      client->pending = NULL;
      drop(client);
      return;
    }
  }
  client->pending_at = client->pending_end = 0;
  for (int i = 0; i < 2; i++) {
    size_t past = skip < parts[i].iov_len ? skip : parts[i].iov_len;
    memcpy(client->pending + client->pending_end, (const char *)parts[i].iov_base + past,
           parts[i].iov_len - past);
    client->pending_end += parts[i].iov_len - past;
    skip -= past;
  }
}

static void send_frame(struct client *client, const struct frame *frame, const char *bytes) {
  if (client->fd < 0)
    return;
  if (client->pending_at < client->pending_end) {
    client->behind = true; /* the positions of its next frame show the hole */
    return;
  }
  struct iovec parts[2] = {{(void *)(uintptr_t)frame, sizeof *frame},
                           {(void *)(uintptr_t)bytes, frame->length}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  ssize_t sent = sendmsg(client->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && errno != EAGAIN && errno != EINTR)
    drop(client);
  else if (sent < 0 && backpressure)
    keep_rest(client, parts, 0);
  else if (sent < 0)
    client->behind = true;
  else
    client->behind = false;
  if (sent > 0 && (size_t)sent < sizeof *frame + frame->length)
    keep_rest(client, parts, (size_t)sent);
}

static void send_pending(struct client *client) {
  size_t left = client->pending_end - client->pending_at;
  ssize_t sent = send(client->fd, client->pending + client->pending_at, left, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && errno != EAGAIN && errno != EINTR)
    drop(client);
  else if (sent > 0)
    client->pending_at += (size_t)sent;
}

/* An empty frame: tells where the log's end is. */
static void tell_position(struct client *client, uint8_t stream) {
  struct log_position at = log_position();
  struct frame frame = {.stream = stream,
                        .serial0 = at.serial,
                        .serial1 = at.serial,
                        .offset0 = at.offset,
                        .offset1 = at.offset};
  send_frame(client, &frame, "");
}

void attach_output(bool is_stderr, const char *bytes, size_t length, struct log_position from,
                   struct log_position to) {
  struct frame frame = {.stream = is_stderr ? STREAM_STDERR : STREAM_STDOUT,
                        .length = (uint32_t)length,
                        .serial0 = from.serial,
                        .serial1 = to.serial,
                        .offset0 = from.offset,
                        .offset1 = to.offset};
  uint8_t wanted = is_stderr ? ATTACH_STDERR : ATTACH_STDOUT;
  for (int i = 0; i < client_count; i++)
    if (clients[i].greeted && (clients[i].flags & wanted))
      send_frame(&clients[i], &frame, bytes);
}

/* Whether a client has yet to take something. Without a log one that has not
 * greeted counts: what comes before its greeting would be lost to it. */
bool attach_pending(void) {
  for (int i = 0; i < client_count; i++)
    if (clients[i].fd >= 0 &&
        (clients[i].pending_at < clients[i].pending_end || (backpressure && !clients[i].greeted)))
      return true;
  return false;
}

static void take_header(struct client *client) {
  const struct frame *header = &client->header;
  client->header_have = 0;
  if (header->stream == STREAM_HELLO && !client->greeted) {
    client->greeted = true;
    client->flags = header->flags;
    tell_position(client, STREAM_HELLO);
  } else if (header->stream == STREAM_STDIN && client->greeted && (client->flags & ATTACH_STDIN)) {
    client->data_left = header->length;
    if (header->length == 0)
      input_close();
  } else {
    drop(client);
  }
}

static void read_client(struct client *client) {
  static char input[CHUNK];
  char *into = input;
  size_t wanted = client->data_left < sizeof input ? client->data_left : sizeof input;
  if (client->data_left == 0) {
    into = (char *)&client->header + client->header_have;
    wanted = sizeof client->header - client->header_have;
  }
  ssize_t got = recv(client->fd, into, wanted, MSG_DONTWAIT);
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
    drop(client);
  } else if (got > 0 && client->data_left > 0) {
    client->data_left -= (uint32_t)got;
    input_feed(input, (size_t)got);
  } else if (got > 0) {
    client->header_have += (uint32_t)got;
    if (client->header_have == sizeof client->header)
      take_header(client);
  }
}

/* Entry 0 is standard input, then one a client. @returns how many entries were
 * written. */
int attach_poll_set(void *poll_entries) {
  struct pollfd *polled = poll_entries;
  bool stdin_full = input_full() >= 0;
  sweep();
  polled[0] = (struct pollfd){.fd = input_full(), .events = POLLOUT};
  for (int i = 0; i < client_count; i++) {
    bool wants_read = !stdin_full || !clients[i].greeted;
    bool wants_write = clients[i].behind || clients[i].pending_at < clients[i].pending_end;
    polled[i + 1] = (struct pollfd){
        .fd = clients[i].fd, .events = (short)((wants_read ? POLLIN : 0) | (wants_write ? POLLOUT : 0))};
  }
  return client_count + 1;
}

void attach_handle(const void *poll_entries) {
  const struct pollfd *polled = poll_entries;
  int polled_clients = client_count;
  if (polled[0].revents != 0)
    input_flush();
  for (int i = 0; i < polled_clients; i++) {
    short events = polled[i + 1].revents;
    if (clients[i].fd != polled[i + 1].fd)
      continue;
    if ((events & POLLOUT) && clients[i].pending_at < clients[i].pending_end)
      send_pending(&clients[i]);
    else if ((events & POLLOUT) && clients[i].behind)
      /* The next output may be long in coming; this shows the hole as well. */
      tell_position(&clients[i], STREAM_STDOUT);
    if (clients[i].fd >= 0 && (events & POLLIN) && input_full() < 0)
      read_client(&clients[i]);
    else if (clients[i].fd >= 0 && (events & (POLLHUP | POLLERR)) && !(events & POLLIN))
      drop(&clients[i]);
  }
}

/* Whoever still writes to a closed connection breaks it and loses what he has
 * not read yet; without a log that would be gone for good. So what comes is
 * thrown away until he leaves as well. */
static void see_off(void) {
  enum { PATIENCE_MS = 10000, ROUND_MS = 100 };
  static char rest[CHUNK];
  uint64_t deadline = now_ns() + (uint64_t)PATIENCE_MS * 1000000;
  for (sweep(); client_count > 0 && now_ns() < deadline; sweep()) {
    struct pollfd polled[CLIENTS_MAX];
    for (int i = 0; i < client_count; i++)
      polled[i] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
    if (poll(polled, (nfds_t)client_count, ROUND_MS) <= 0)
      continue;
    for (int i = 0; i < client_count; i++) {
      ssize_t got = recv(clients[i].fd, rest, sizeof rest, MSG_DONTWAIT);
      if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        drop(&clients[i]);
    }
  }
}

void attach_end(void) {
  struct log_position at = log_position();
  struct frame frame = {.stream = STREAM_END,
                        .serial0 = at.serial,
                        .serial1 = at.serial,
                        .offset0 = at.offset,
                        .offset1 = at.offset};
  for (int i = 0; i < client_count; i++) {
    send_frame(&clients[i], &frame, "");
    if (clients[i].fd >= 0)
      (void)shutdown(clients[i].fd, SHUT_WR);
  }
  if (backpressure)
    see_off();
  for (int i = 0; i < client_count; i++)
    if (clients[i].fd >= 0)
      drop(&clients[i]);
}
