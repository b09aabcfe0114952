/* bop/log.h: read-only inspection of a write-ahead log's directory.
 *
 * Reads the files as they are, without a node, without taking the directory's lock and without
 * writing: frames that a running node appends meanwhile may or may not be seen. docs/formats/log.md
 * defines the terms.
 */
#ifndef BOP_LOG_H
#define BOP_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "bop/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bop_log_reader bop_log_reader;

typedef enum bop_log_item_kind {
  BOP_LOG_SEGMENT = 1, /* the beginning of a file */
  BOP_LOG_FRAME = 2,   /* one write: its records follow */
  BOP_LOG_RECORD = 3,  /* one group's hard state and entries */
  BOP_LOG_SEAL = 4,    /* a frame without entries that proves how far the log was durable */
  BOP_LOG_SUMMARY = 5, /* the end of a sealed segment */
  BOP_LOG_GAP = 6, /* a range without a frame, none of it acknowledged; `text` gives the reason */
  BOP_LOG_PROBLEM =
      7,            /* a range where acknowledged frames were, or may have been; `text` as above */
  BOP_LOG_GROUP = 8 /* at the end: the state in which a recovery would leave a group; `text` is
                        * "ok" or the reason for suspect, at `file` and `offset_bytes` */
} bop_log_item_kind;

/* One finding. Fields that a kind does not have are zero. */
typedef struct bop_log_item {
  uint32_t size;
  int32_t kind;          /* bop_log_item_kind */
  const char* file;      /* relative to the directory; valid until the next call */
  uint64_t offset_bytes; /* in the file */
  uint64_t length_bytes;
  uint64_t epoch;           /* of the log when it was written */
  uint64_t frame;           /* number of the frame */
  uint64_t durable_through; /* position up to which the log was durable when the frame was written:
                             * segment << 32 | offset */
  uint64_t group;
  uint64_t term; /* the group's term and vote, as recorded */
  uint64_t vote;
  uint64_t first_index; /* entries: 0 when the record has none */
  uint64_t last_index;
  uint64_t entries;
  const char* text; /* message for people, never NULL; valid until the next call */
} bop_log_item;

/* Opens the log in `directory` (a node's data directory, or a shard's log folder within it). Close
 * it with bop_log_close. Blocks while it lists the files. Errors: NOT_FOUND, NEWER_FORMAT, IO.
 * Since 0.1. */
BOP_API int32_t bop_log_open(const char* directory, bop_log_reader** reader, char* error,
                             size_t error_capacity);

/* The next finding, in the order of the files. Blocks while it reads. NOT_FOUND at the end. An error that
 * prevents a log from being read is reported as a BOP_LOG_PROBLEM, after which the next log follows.
 * A reader is used by one thread at a time. Since 0.1. */
BOP_API int32_t bop_log_next(bop_log_reader* reader, bop_log_item* item);

BOP_API void bop_log_close(bop_log_reader* reader);

#ifdef __cplusplus
}
#endif

#endif
