/* bop/kv.h: the commands, queries and replies of the machine "kv", and their encoders and decoders.
 *
 * A key has 1..BOP_KV_KEY_MAX bytes, a value 0..BOP_KV_VALUE_MAX bytes; both are arbitrary bytes. Keys
 * are ordered as unsigned bytes. Every record has a revision: the log index of the entry that last
 * changed it, so revisions only increase and are equal on every node.
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
 *     ADD     value is i64 delta (8 bytes); the record's value is a decimal number as Redis stores
 *             it, an absent record counts as 0; on WRONG_TYPE or OVERFLOW nothing is changed
 *     APPEND  value is appended; an absent record counts as empty
 *   The operations of one command are atomic: they are executed at one index, and if the condition of
 *   one does not hold, or one fails, none of them changes anything. They are executed in order; each
 *   sees the effects of those before it. The status is that of the first one that fails.
 *
 *   query := u8 version=1, u8 kind, u16 flags, ...
 *     GET    ..., u16 count (1..BOP_KV_OPERATIONS_MAX), {u16 key_size, key}[count]
 *     RANGE  ..., u32 limit (1..BOP_KV_RANGE_MAX), u16 first_size, u16 end_size, first, end
 *            keys first <= key < end in order; an empty end means no bound. With PREFIX, `end` is empty
 *            and the keys are those that begin with `first`. With AFTER, `first` itself is excluded.
 *     COUNT  no further fields
 *
 *   The reply's status is that of the whole command or query (BOP_OK, BOP_E_CONDITION_FAILED,
 *   BOP_E_WRONG_TYPE, BOP_E_OVERFLOW, BOP_E_PROTOCOL, BOP_E_TOO_LARGE). Its body:
 *     command, OK                u64 revision, u16 count, item[count] (one per operation)
 *     command, CONDITION_FAILED  u64 revision (0), u16 count, item[count]: each operation's record,
 *             unchanged, with its value
 *     GET     u64 applied index, u16 count, item[count] (one per key)
 *     RANGE   u64 applied index, u8 more (1: the limit or the reply's size ended it), u32 count,
 *             {u16 key_size, key, item}[count]
 *     COUNT   u64 applied index, u64 records
 *   item := u8 present, u64 revision, u32 value_size, value      (present 0: the rest is zero)
 *     For an operation with RETURN_PREVIOUS: the record before it. Otherwise for ADD: the new value; for
 *     APPEND: the new length, as u64; both with the new revision.
 *     Otherwise `present` tells whether the record existed before, `revision` is its revision then, and
 *     its value is omitted. For a PUT without flags kv does not look that up, and present is 0.
 *     For GET and RANGE with KEYS_ONLY the value is omitted and value_size is 0.
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
#define BOP_KV_ANSWER_MAX \
  (4u * 1024u * 1024u) /* bytes of a range's reply, which then sets `more` */
#define BOP_KV_REPLY_MAX (16u * 1024u * 1024u) /* bytes of any other reply; more: BOP_E_TOO_LARGE */

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
 * They have in common:
 *  - They keep no state, allocate nothing, never block, and may be called from any thread.
 *  - An encoder checks its arguments, then writes the whole message to `out`, which has space for
 *    `capacity` bytes, and sets *size to the message's length. With `out` NULL it only sets *size and
 *    returns BOP_OK. Errors: INVALID_ARGUMENT for arguments that the grammar above does not allow;
 *    TOO_LARGE for a length or count over its limit (*size is 0), and for a message longer than
 *    `capacity` (*size is the length needed; nothing is written).
 *  - A decoder's results point into the bytes that were passed to it, which must outlive them. Each
 *    decoded length and count was checked against its limit.
 *  - A sequence is opened, then read element by element: bop_kv_next_* returns 1 with an element, 0
 *    after the last one, or PROTOCOL or TOO_LARGE, and then the same error again. The last element is
 *    only returned if no bytes follow it, so a message whose elements were all read is well-formed.
 *  - The structs have a fixed layout, as the format has, and no size field. A later format gets new
 *    structs. Set `reserved` to 0.
 */

/* A position in a sequence that is being read, in the caller's memory, initialised by bop_kv_open_*. A
 * copy saves the position. */
typedef struct bop_kv_reader {
  bop_bytes rest; /* the bytes that are not read yet */
  uint32_t left;  /* the number of elements that are not read yet */
  int32_t failed; /* the error that ended reading, or BOP_OK */
} bop_kv_reader;

typedef struct bop_kv_operation {
  uint8_t op;    /* a bop_kv_op */
  uint8_t flags; /* a set of bop_kv_flag */
  uint8_t reserved[6];
  bop_bytes key;
  bop_bytes value;    /* PUT and APPEND; else empty */
  int64_t delta;      /* ADD; else not encoded, decoded as 0 */
  uint64_t revision;  /* with IF_REVISION; else not encoded, decoded as 0 */
  bop_bytes expected; /* with IF_VALUE; else empty */
} bop_kv_operation;

typedef struct bop_kv_query {
  uint8_t kind; /* a bop_kv_query_kind */
  uint8_t reserved;
  uint16_t flags;        /* a set of bop_kv_query_flag; only those that the kind allows */
  uint32_t limit;        /* RANGE: 1..BOP_KV_RANGE_MAX records */
  const bop_bytes* keys; /* GET. A decoder sets NULL: read them with bop_kv_next_key */
  size_t key_count;      /* GET: 1..BOP_KV_OPERATIONS_MAX */
  bop_bytes first;       /* RANGE: at most BOP_KV_KEY_MAX bytes */
  bop_bytes end;         /* RANGE: at most BOP_KV_KEY_MAX bytes; empty: no bound */
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

/* Reads a query, except for the keys of a GET, which are read with `keys`. For RANGE and COUNT the whole
 * query is read, and `keys` is empty. Errors: PROTOCOL, TOO_LARGE. Since 0.1. */
BOP_API int32_t bop_kv_open_query(bop_bytes message, bop_kv_query* query, bop_kv_reader* keys);
BOP_API int32_t bop_kv_next_key(bop_kv_reader* keys, bop_bytes* key);

/* The reply to a command, where `index` is its revision, or to GET, where it is the applied index.
 * At most 65,535 items. Since 0.1. */
BOP_API int32_t bop_kv_encode_items(uint64_t index, const bop_kv_item* items, size_t count,
                                    uint8_t* out, size_t capacity, size_t* size);
BOP_API int32_t bop_kv_open_items(bop_bytes body, uint64_t* index, bop_kv_reader* reader);
BOP_API int32_t bop_kv_next_item(bop_kv_reader* reader, bop_kv_item* item);

/* The reply to RANGE. `more` is 0 or 1. At most BOP_KV_RANGE_MAX records. Since 0.1. */
BOP_API int32_t bop_kv_encode_records(uint64_t index, int32_t more, const bop_kv_record* records,
                                      size_t count, uint8_t* out, size_t capacity, size_t* size);
BOP_API int32_t bop_kv_open_records(bop_bytes body, uint64_t* index, int32_t* more,
                                    bop_kv_reader* reader);
BOP_API int32_t bop_kv_next_record(bop_kv_reader* reader, bop_kv_record* record);

/* The reply to COUNT. Decoding errors: PROTOCOL. Since 0.1. */
BOP_API int32_t bop_kv_encode_count(uint64_t index, uint64_t records, uint8_t* out, size_t capacity,
                                    size_t* size);
BOP_API int32_t bop_kv_decode_count(bop_bytes body, uint64_t* index, uint64_t* records);

#ifdef __cplusplus
}
#endif

#endif
