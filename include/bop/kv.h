/* bop/kv.h: the commands, questions and answers of the machine "kv".
 *
 * A key is 1..BOP_KV_KEY_MAX bytes, a value 0..BOP_KV_VALUE_MAX bytes; both are any bytes, keys are
 * ordered as unsigned bytes. Every record has a revision: the log index of the entry that last
 * changed it, so revisions only rise and are equal on every node.
 *
 * All integers are little-endian, nothing is aligned. Bytes that are not of these forms are refused
 * with BOP_E_PROTOCOL, lengths over a limit with BOP_E_TOO_LARGE; neither changes anything.
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
 *   question := u8 version=1, u8 kind, u16 flags, ...
 *     GET    ..., u16 count (1..BOP_KV_OPERATIONS_MAX), {u16 key_size, key}[count]
 *     RANGE  ..., u32 limit (1..BOP_KV_RANGE_MAX), u16 first_size, u16 end_size, first, end
 *            keys first <= key < end in order; an empty end is no bound. With PREFIX, `end` is empty
 *            and the keys are those that begin with `first`. With AFTER, `first` itself is left out.
 *     COUNT  nothing more
 *
 *   The answer's status is that of the whole (BOP_OK, BOP_E_CONDITION_FAILED, BOP_E_WRONG_TYPE,
 *   BOP_E_OVERFLOW, BOP_E_PROTOCOL, BOP_E_TOO_LARGE). Its body:
 *     command, OK                u64 revision, u16 count, item[count] (one an operation)
 *     command, CONDITION_FAILED  u64 revision (0), u16 count, item[count]: each operation's record as
 *             it is, whole
 *     GET     u64 index applied, u16 count, item[count]
 *     RANGE   u64 index applied, u8 more (1: the limit or the answer's size ended it), u32 count,
 *             {u16 key_size, key, item}[count]
 *     COUNT   u64 index applied, u64 records
 *   item := u8 present, u64 revision, u32 value_size, value      (present 0: the rest is zero)
 *     For an operation with RETURN_PREVIOUS: the record before. Else, for ADD: the new value, and for
 *     APPEND: the new length as u64 is the value; both with the new revision.
 *     Else: present says whether the record existed before and revision of what it was, its value is
 *     left out. When kv does not have to know (PUT and no flag), present is 0.
 *     For GET and RANGE with KEYS_ONLY: the value is left out and value_size is 0.
 */
#ifndef BOP_KV_H
#define BOP_KV_H

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
#define BOP_KV_ANSWER_MAX (4u * 1024u * 1024u) /* of a range; it says `more` */
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
  BOP_KV_WANT_EXISTED = 32 /* `present` of the item is asked for */
} bop_kv_flag;

typedef enum bop_kv_question { BOP_KV_GET = 1, BOP_KV_RANGE = 2, BOP_KV_COUNT = 3 } bop_kv_question;

typedef enum bop_kv_question_flag {
  BOP_KV_KEYS_ONLY = 1,
  BOP_KV_PREFIX = 2,
  BOP_KV_AFTER = 4
} bop_kv_question_flag;

/* The machine's table; static storage. */
BOP_API const bop_machine_table* bop_kv_machine(void);

#ifdef __cplusplus
}
#endif

#endif
