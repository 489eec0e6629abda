/*
 * Frames of Ethernet as they are, from where it stands:
 *   frames send IFACE HEX...   sends them, in this order
 *   frames hear IFACE MARK     prints "ready", then the byte that follows MARK in
 *                              each frame that arrives, until it is Z
 * and SCTP, which Node does not speak:
 *   frames serve PORT          prints "ready", or why there is no such socket; tells
 *                              one caller its address
 *   frames call ADDRESS PORT   prints what it is told
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 2048 };

static int fail(const char *what) {
  perror(what);
  return 1;
}

static int open_on(const char *interface, struct sockaddr_ll *where) {
  *where = (struct sockaddr_ll){.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
  where->sll_ifindex = (int)if_nametoindex(interface);
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
  if (fd >= 0 && bind(fd, (const struct sockaddr *)where, sizeof *where) < 0) {
    (void)close(fd);
    return -1;
  }
  return fd;
}

/* One processor has one queue, so that what is sent first arrives first. */
static void stay_here(void) {
  cpu_set_t here;
  CPU_ZERO(&here);
  CPU_SET((size_t)sched_getcpu(), &here);
  (void)sched_setaffinity(0, sizeof here, &here);
}

static int send_all(const char *interface, char **frames) {
  struct sockaddr_ll where;
  stay_here();
  int fd = open_on(interface, &where);
  if (fd < 0)
    return fail(interface);
  for (; *frames != NULL; frames++) {
    unsigned char bytes[MOST];
    size_t length = strlen(*frames) / 2;
    if (length > sizeof bytes)
      return 2;
    for (size_t i = 0; i < length; i++) {
      char pair[] = {(*frames)[2 * i], (*frames)[2 * i + 1], 0};
      bytes[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
    if (send(fd, bytes, length, 0) < 0)
      return fail("send");
  }
  return close(fd);
}

static int hear(const char *interface, const char *mark) {
  struct sockaddr_ll where;
  int fd = open_on(interface, &where);
  if (fd < 0)
    return fail(interface);
  puts("ready");
  (void)fflush(stdout);
  for (;;) {
    char bytes[MOST + 1];
    struct sockaddr_ll from;
    socklen_t size = sizeof from;
    ssize_t length = recvfrom(fd, bytes, MOST, 0, (struct sockaddr *)&from, &size);
    if (length < 0)
      return fail("recv");
    if (from.sll_pkttype == PACKET_OUTGOING)
      continue;
    const char *found = memmem(bytes, (size_t)length, mark, strlen(mark));
    if (found == NULL || found + strlen(mark) >= bytes + length)
      continue;
    char letter = found[strlen(mark)];
    (void)putchar(letter);
    (void)fflush(stdout);
    if (letter == 'Z')
      return puts("") < 0;
  }
}

static int serve(const char *port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_SCTP);
  if (fd >= 0 && bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 1) == 0)
    puts("ready");
  else
    puts(strerrorname_np(errno));
  (void)fflush(stdout);
  socklen_t size = sizeof at;
  int caller = accept(fd, (struct sockaddr *)&at, &size);
  char text[INET_ADDRSTRLEN];
  if (caller < 0 || inet_ntop(AF_INET, &at.sin_addr, text, sizeof text) == NULL)
    return 1;
  if (send(caller, text, strlen(text), 0) < 0)
    return fail("send");
  /* It is heard before the end. */
  (void)recv(caller, text, sizeof text, 0);
  return close(caller) + close(fd);
}

static int call(const char *address, const char *port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  char text[INET_ADDRSTRLEN + 1] = "";
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_SCTP);
  if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
    return 2;
  if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) < 0)
    return fail("connect");
  if (recv(fd, text, sizeof text - 1, 0) < 0)
    return fail("recv");
  puts(text);
  return close(fd);
}

int main(int argc, char **argv) {
  if (argc >= 4 && strcmp(argv[1], "send") == 0)
    return send_all(argv[2], argv + 3);
  if (argc == 4 && strcmp(argv[1], "hear") == 0)
    return hear(argv[2], argv[3]);
  if (argc == 3 && strcmp(argv[1], "serve") == 0)
    return serve(argv[2]);
  if (argc == 4 && strcmp(argv[1], "call") == 0)
    return call(argv[2], argv[3]);
  return 2;
}
