/*
 * What shim and server say to each other (server/task/shim-protocol.ts is the
 * other owner), and what the child says to its shim. Fixed records, little
 * endian.
 *
 *   launch and control connection: struct message, both ways
 *   attach connection:             struct frame, followed by `length` bytes,
 * both ways zygote socket:                 struct launch_request with
 * descriptors {plan, launch connection, slot 0, ...} child -> shim (sync
 * socket):   struct note; shim -> child: struct note NOTE_GO
 */
#pragma once
#include <stdint.h>

#define WIRE_VERSION 1
#define LAUNCH_MAGIC 0x434e4c4du /* "MLNC" */

struct launch_request {
  uint32_t magic;
  uint16_t version, descriptors;
};
_Static_assert(sizeof(struct launch_request) == 8, "wire format");

enum message_type {
  /* server -> shim */
  MSG_COMMIT = 1, /* from now on outlive the server; a = 1: open the start gate too */
  MSG_ANSWER,     /* to MSG_ASK; a = errno */
  MSG_START,      /* open the start gate */
  MSG_SIGNAL,     /* a = signal, to the process */
  MSG_RESIZE,     /* a = rows, b = columns */
  MSG_CLOSE_STDIN,
  MSG_REOPEN_LOG,
  MSG_STATUS, /* only a reply is wanted: is the shim alive */
  /* shim -> server */
  MSG_REPLY = 64, /* seq of the request, a = errno */
  MSG_CREATED,    /* a = pid of the process, b = pid of the shim, x = start time of
                     a, y = of b */
  MSG_STARTED,    /* the process runs the user's program */
  MSG_FAILED,     /* a = section, b = index of the op in it, x = errno; nothing is
                     left. y = bytes that follow: the used part of a struct found */
  MSG_ASK,        /* a = number of the question */
  MSG_EXITED,     /* a = exit code, b = signal, x = time in ns since epoch, y =
                     flags EXIT_* */
  MSG_PARKED,     /* a launcher waits; a = its pid, b = pid of the shim, x, y = their start times. A struct
                     launch_request with descriptors {plan, slot 0, ...} starts a process with it */
};

struct message {
  uint16_t type, version;
  uint32_t seq;
  int32_t a, b;
  uint64_t x, y;
};
_Static_assert(sizeof(struct message) == 32, "wire format");

/* MSG_FAILED outside the plan's sections: a = FAILED_LAUNCH, b = one of these.
 */
enum { FAILED_LAUNCH = 4 };
enum { LAUNCH_FORK, LAUNCH_PLAN, LAUNCH_CLONE, LAUNCH_HOLD, LAUNCH_CHILD_GONE };

/* bits of MSG_EXITED.y */
enum { EXIT_RECORDED = 1 /* the exit record is on disk */ };

enum stream { STREAM_STDIN, STREAM_STDOUT, STREAM_STDERR, STREAM_HELLO, STREAM_END };

/* bits of frame.flags in the client's STREAM_HELLO */
enum { ATTACH_STDOUT = 1, ATTACH_STDERR = 2, ATTACH_STDIN = 4, ATTACH_STDIN_ONCE = 8 };

/*
 * A frame from the shim carries where its bytes stand in the log: from
 * (serial0, offset0) up to (serial1, offset1). A slow client is skipped, not
 * waited for; it sees the hole and reads it from the log. When it can take
 * something again it gets a frame, an empty one where there is no output. A
 * STREAM_STDIN frame of length 0 ends standard input. Zero positions: no log.
 */
struct frame {
  uint8_t stream, flags;
  uint16_t reserved;
  uint32_t length;
  uint32_t serial0, serial1;
  uint64_t offset0, offset1;
};
_Static_assert(sizeof(struct frame) == 32, "wire format");

/* bits of found.flags */
enum {
  FOUND_LOOKED = 1,      /* the rest of the struct has a meaning */
  FOUND_MAY_EXECUTE = 2, /* mode and mount let the process's user execute it */
  FOUND_NOEXEC = 4,      /* the mount that it is on lets nobody */
  FOUND_READ = 8,        /* head is what the file begins with, or the link's target */
};
enum { FOUND_HEAD_MAX = 4096 };

/*
 * What the process saw at the path of a program that could not be executed, as
 * its own user and below its own root. Of a file the first bytes, of a symbolic
 * link that leads nowhere its target; none where it may not be read.
 */
struct found {
  int32_t path; /* index among the paths of OP_EXEC; -1: there is nothing at any */
  uint32_t mode, uid, gid, flags, length;
  char head[FOUND_HEAD_MAX];
};
_Static_assert(sizeof(struct found) == 24 + FOUND_HEAD_MAX, "wire format");

enum note_kind { NOTE_GO = 1, NOTE_BARRIER, NOTE_ASK, NOTE_SLOT, NOTE_READY, NOTE_RESPAWN, NOTE_FAIL };

/* NOTE_FAIL: index of the op in its section and errno; of a failed OP_EXEC a
 * struct found comes in the same packet. NOTE_RESPAWN: value is the new pid. */
struct note {
  uint32_t kind, index;
  int32_t value;
};
_Static_assert(sizeof(struct note) == 12, "wire format");
