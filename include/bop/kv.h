/* bop/kv.h: the commands, queries and answers of the machine "kv", and their encoders and decoders.
 *
 * A key has 1..BOP_KV_KEY_MAX bytes, a value 0..BOP_KV_VALUE_MAX bytes; both are arbitrary bytes. Keys
 * are ordered as unsigned bytes. Every record has a revision: the log index of the entry that last
 * changed it, so revisions only rise and are equal on every node.
 *
 * All integers are little-endian and unaligned. Bytes that do not have these forms are refused with
 * BOP_E_PROTOCOL, lengths over a limit with BOP_E_TOO_LARGE; neither changes anything.
 *
 *   command   := u8 version=1, u8 zero, u16 count (1..BOP_KV_OPERATIONS_MAX), operation[count]
 *   operation := u8 op, u8 flags, u16 key_size, u32 value_size,
 *                [u64 revision     if IF_REVISION]
 *                [u32 expected_size if IF_VALUE]
 *                key, value, [expected]
 *     PUT     value is the new value
 *     DELETE  value is empty
 *     ADD     value is i64 delta (8 bytes); the record's value is a decimal number as Redis keeps
 *             it, absent counts as 0; WRONG_TYPE or OVERFLOW change nothing
 *     APPEND  value is appended; absent counts as empty
 *   The operations of one command are atomic: they happen at one index, and when the condition of any
 *   does not hold, or any fails, none of them changes anything. They are executed in order, each
 *   sees what those before it did; the status is that of the first that fails.
 *
 *   query := u8 version=1, u8 kind, u16 flags, ...
 *     GET    ..., u16 count (1..BOP_KV_OPERATIONS_MAX), {u16 key_size, key}[count]
 *     RANGE  ..., u32 limit (1..BOP_KV_RANGE_MAX), u16 first_size, u16 end_size, first, end
 *            keys first <= key < end in order; an empty end is no bound. With PREFIX, `end` is empty
 *            and the keys are those that begin with `first`. With AFTER, `first` itself is left out.
 *     COUNT  nothing more
 *
 *   The answer's status is that of the whole (BOP_OK, BOP_E_CONDITION_FAILED, BOP_E_WRONG_TYPE,
 *   BOP_E_OVERFLOW, BOP_E_PROTOCOL, BOP_E_TOO_LARGE). Its body:
 *     command, OK                u64 revision, u16 count, item[count] (one per operation)
 *     command, CONDITION_FAILED  u64 revision (0), u16 count, item[count]: each operation's record as
 *             it is, whole
 *     GET     u64 applied index, u16 count, item[count] (one per key)
 *     RANGE   u64 applied index, u8 more (1: the limit or the answer's size ended it), u32 count,
 *             {u16 key_size, key, item}[count]
 *     COUNT   u64 applied index, u64 records
 *   item := u8 present, u64 revision, u32 value_size, value      (present 0: the rest is zero)
 *     For an operation with RETURN_PREVIOUS: the record before. Else, for ADD: the new value, and for
 *     APPEND: the new length as u64 is the value; both with the new revision.
 *     Else: `present` tells whether the record existed before, `revision` is the one it had, and its
 *     value is left out. When kv does not have to know (PUT and no flag), present is 0.
 *     For GET and RANGE with KEYS_ONLY: the value is left out and value_size is 0.
 */
#ifndef BOP_KV_H
#define BOP_KV_H

#include <stddef.h>
#include <stdint.h>

#include "bop/machine.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BOP_KV_VERSION 1u
#define BOP_KV_KEY_MAX 1024u
#define BOP_KV_VALUE_MAX (1024u * 1024u)
#define BOP_KV_OPERATIONS_MAX 1024u
#define BOP_KV_RANGE_MAX 10000u
#define BOP_KV_ANSWER_MAX (4u * 1024u * 1024u) /* of a range, which sets `more` */
#define BOP_KV_REPLY_MAX (16u * 1024u * 1024u) /* of anything else; beyond: BOP_E_TOO_LARGE */

typedef enum bop_kv_op {
  BOP_KV_PUT = 1,
  BOP_KV_DELETE = 2,
  BOP_KV_ADD = 3,
  BOP_KV_APPEND = 4
} bop_kv_op;

typedef enum bop_kv_flag {
  BOP_KV_IF_ABSENT = 1,
  BOP_KV_IF_PRESENT = 2,
  BOP_KV_IF_REVISION = 4, /* revision 0: must be absent */
  BOP_KV_IF_VALUE = 8,
  BOP_KV_RETURN_PREVIOUS = 16,
  BOP_KV_WANT_EXISTED = 32 /* the item's `present` is wanted */
} bop_kv_flag;

typedef enum bop_kv_query_kind {
  BOP_KV_GET = 1,
  BOP_KV_RANGE = 2,
  BOP_KV_COUNT = 3
} bop_kv_query_kind;

typedef enum bop_kv_query_flag {
  BOP_KV_KEYS_ONLY = 1,
  BOP_KV_PREFIX = 2,
  BOP_KV_AFTER = 4
} bop_kv_query_flag;

/* The machine's table; static storage. */
BOP_API const bop_machine_table* bop_kv_machine(void);

/* ---- encoders and decoders ----
 *
 * What holds for all of them:
 *  - They keep no state, allocate nothing, never block, and may be called from any thread.
 *  - An encoder checks its arguments, then writes the whole message to `out`, which has room for
 *    `capacity` bytes, and sets *size to the message's length. `out` NULL asks for the length alone:
 *    the result is BOP_OK and nothing is written. Errors: INVALID_ARGUMENT for what the grammar above
 *    does not allow; TOO_LARGE for a length or count over its limit (*size is 0), and for a message
 *    longer than `capacity` (*size is the length needed; nothing is written).
 *  - A decoder's results point into the bytes it was given, which must outlive them. Each decoded
 *    length and count was checked against its limit.
 *  - A sequence is opened, then read element by element: bop_kv_next_* returns 1 with an element, 0
 *    past the last, or PROTOCOL or TOO_LARGE, and then the same error again. The last element is
 *    given only when nothing follows it, so a message whose elements were all read is well-formed.
 *  - The structs have a fixed layout, as the format has: they carry no size. A later format gets
 *    structs of its own. Set `reserved` to 0.
 */

/* A position in a sequence that is being read. The caller's memory, filled by bop_kv_open_*; copying
 * one saves the position. */
typedef struct bop_kv_reader {
  bop_bytes rest; /* not yet read */
  uint32_t left;  /* elements not yet read: after opening, how many there are */
  int32_t failed; /* the error that ended reading, or BOP_OK */
} bop_kv_reader;

typedef struct bop_kv_operation {
  uint8_t op;    /* bop_kv_op */
  uint8_t flags; /* of bop_kv_flag */
  uint8_t reserved[6];
  bop_bytes key;
  bop_bytes value;    /* PUT and APPEND; else empty */
  int64_t delta;      /* ADD; else not encoded, decoded as 0 */
  uint64_t revision;  /* with IF_REVISION; else not encoded, decoded as 0 */
  bop_bytes expected; /* with IF_VALUE; else empty */
} bop_kv_operation;

typedef struct bop_kv_query {
  uint8_t kind; /* bop_kv_query_kind */
  uint8_t reserved;
  uint16_t flags;        /* of bop_kv_query_flag, those that the kind allows */
  uint32_t limit;        /* RANGE: 1..BOP_KV_RANGE_MAX records */
  const bop_bytes* keys; /* GET. A decoder sets NULL: bop_kv_next_key gives them */
  size_t key_count;      /* GET: 1..BOP_KV_OPERATIONS_MAX */
  bop_bytes first;       /* RANGE: at most BOP_KV_KEY_MAX bytes */
  bop_bytes end;         /* RANGE: the same; empty: no bound */
} bop_kv_query;

typedef struct bop_kv_item {
  uint8_t present; /* 0 or 1; 0: the rest is zero */
  uint8_t reserved[7];
  uint64_t revision;
  bop_bytes value; /* at most 2^32 - 1 bytes */
} bop_kv_item;

typedef struct bop_kv_record {
  bop_bytes key; /* 1..BOP_KV_KEY_MAX bytes */
  bop_kv_item item;
} bop_kv_record;

/* A command of `count` operations, 1..BOP_KV_OPERATIONS_MAX. Since 0.1. */
BOP_API int32_t bop_kv_encode_command(const bop_kv_operation* operations, size_t count,
                                      uint8_t* out, size_t capacity, size_t* size);

/* Starts reading a command: reader->left is its number of operations. Errors: PROTOCOL, TOO_LARGE
 * (too many operations). Since 0.1. */
BOP_API int32_t bop_kv_open_command(bop_bytes command, bop_kv_reader* reader);
BOP_API int32_t bop_kv_next_operation(bop_kv_reader* reader, bop_kv_operation* operation);

/* A query. Since 0.1. */
BOP_API int32_t bop_kv_encode_query(const bop_kv_query* query, uint8_t* out, size_t capacity,
                                    size_t* size);

/* Reads a query but for the keys of GET, which `keys` gives; for RANGE and COUNT, `keys` is at its end
 * and the query was read whole. Errors: PROTOCOL, TOO_LARGE. Since 0.1. */
BOP_API int32_t bop_kv_open_query(bop_bytes message, bop_kv_query* query, bop_kv_reader* keys);
BOP_API int32_t bop_kv_next_key(bop_kv_reader* keys, bop_bytes* key);

/* The answer to a command, where `index` is its revision, or to GET, where it is the index applied.
 * At most 65,535 items. Since 0.1. */
BOP_API int32_t bop_kv_encode_items(uint64_t index, const bop_kv_item* items, size_t count,
                                    uint8_t* out, size_t capacity, size_t* size);
BOP_API int32_t bop_kv_open_items(bop_bytes body, uint64_t* index, bop_kv_reader* reader);
BOP_API int32_t bop_kv_next_item(bop_kv_reader* reader, bop_kv_item* item);

/* The answer to RANGE. `more` is 0 or 1. At most BOP_KV_RANGE_MAX records. Since 0.1. */
BOP_API int32_t bop_kv_encode_records(uint64_t index, int32_t more, const bop_kv_record* records,
                                      size_t count, uint8_t* out, size_t capacity, size_t* size);
BOP_API int32_t bop_kv_open_records(bop_bytes body, uint64_t* index, int32_t* more,
                                    bop_kv_reader* reader);
BOP_API int32_t bop_kv_next_record(bop_kv_reader* reader, bop_kv_record* record);

/* The answer to COUNT. Decoding errors: PROTOCOL. Since 0.1. */
BOP_API int32_t bop_kv_encode_count(uint64_t index, uint64_t records, uint8_t* out, size_t capacity,
                                    size_t* size);
BOP_API int32_t bop_kv_decode_count(bop_bytes body, uint64_t* index, uint64_t* records);

#ifdef __cplusplus
}
#endif

#endif
