/* bop/machine.h: the interface between bop and a replicated state machine.
 *
 * The machines that ship with bop use this interface exactly as a user's plugin does.
 *
 * Conventions
 *  1. A machine is a deterministic function of its entries. Time, randomness and identity come from
 *     the entry (time_ns, seed, session), never from the host. The same entries give the same
 *     state, the same replies and the same state hash on every node.
 *  2. Threads: bop calls every function of the table from one thread, that of the machine's shard,
 *     never two at once. Blocking work (store reads, syncs) goes through host->offload. The stacks of
 *     bop's threads have 1 MiB.
 *  3. A function with a token either finishes within the call (BOP_OK or an error) or returns BOP_PENDING;
 *     then the machine calls host->complete (for snapshot_next: host->complete_part) with the same token,
 *     on its shard's thread, once. While an apply is pending bop calls no second apply; it may call
 *     query, sync and the functions of snapshots.
 *  4. Bytes passed in are valid during the call, or until the completion of a pending call.
 *     Bytes passed out are valid until the machine is called again, or, passed to host->complete,
 *     until that returns.
 *  5. Structs carry their size in bytes as first field; a field past that size is absent. A function
 *     pointer of the table that is NULL means that the machine lacks the capability.
 *  6. No exception crosses this interface. An error from apply that is not a reply (a failed store)
 *     is returned as a negative status, logged with its text, and halts the replica.
 */
#ifndef BOP_MACHINE_H
#define BOP_MACHINE_H

#include <stddef.h>
#include <stdint.h>

#include "bop/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BOP_MACHINE_ABI 2u

typedef struct bop_bytes {
  const uint8_t* data;
  size_t size;
} bop_bytes;

/* A committed command. Index and term are those of its log entry. The indexes passed to apply increase but
 * may have gaps (for bop's own entries: no-ops, configurations). */
typedef struct bop_entry {
  uint32_t size;
  uint32_t machine_version; /* version of the machine on the node that proposed it */
  uint64_t index;
  uint64_t term;
  int64_t time_ns;   /* leader's clock, nanoseconds since 1970, never decreasing along the log */
  uint64_t session;  /* 0: none */
  uint64_t sequence; /* within the session */
  uint64_t seed;     /* for the machine's random numbers: the same on every node */
  bop_bytes command;
} bop_entry;

/* The reply to one command or query: the machine's status (BOP_OK, BOP_E_CONDITION_FAILED, ...), equal
 * on every node, and bytes. */
typedef struct bop_reply {
  uint32_t size;
  int32_t status;
  bop_bytes body;
} bop_reply;

/* A position in the log: 0, 0 is before the first entry. */
typedef struct bop_position {
  uint64_t index;
  uint64_t term;
} bop_position;

/* 128 bits that are equal on every replica that applied exactly the entries up to `index`. */
typedef struct bop_state_hash {
  uint64_t index;
  uint64_t low;
  uint64_t high;
} bop_state_hash;

/* Which of a machine's workers runs a job, so that reads do not wait for long writes, nor either for a
 * snapshot. */
typedef enum bop_work_queue {
  BOP_WORK_READS = 0,  /* short */
  BOP_WORK_WRITES = 1, /* may take long */
  BOP_WORK_BULK = 2    /* snapshots and restores: may take hours */
} bop_work_queue;

/* ---- snapshots ----
 *
 * A snapshot is the state after one entry, as a list of parts in ascending order of labels. bop
 * checksums, stores, sends and restores parts; it does not interpret them. Equal states should be cut
 * into equal parts on every replica and at every time, because equal parts are stored and sent once. */

typedef enum bop_part_kind {
  BOP_PART_BYTES =
      1, /* the part, or with BOP_PART_MORE a piece of it; the next call returns the next piece */
  BOP_PART_FILE =
      2, /* a file that the machine created below `scratch`: bop takes it over by renaming it */
  BOP_PART_SAME = 3, /* equal to the part with that label in the snapshot at `base` */
  BOP_PART_END = 4   /* there are no more parts; label, bytes and path are empty */
} bop_part_kind;

#define BOP_PART_MORE 1u /* flags */

#define BOP_PART_LABEL_MAX 255u       /* bytes of a label, at least 1 */
#define BOP_PART_SIZE_MAX (64u << 20) /* bytes of a part */

typedef struct bop_part {
  uint32_t size;
  uint32_t kind;
  uint32_t flags;
  bop_bytes label;
  bop_bytes bytes;  /* BOP_PART_BYTES */
  const char* path; /* BOP_PART_FILE: relative to `scratch` */
} bop_part;

typedef struct bop_snapshot_options {
  uint32_t size;
  uint64_t handle; /* bop's number for this snapshot, not 0; several may be open */
  const char*
      scratch; /* an empty directory on the file system of host->directory; NULL: parts are bytes only */
  bop_position base;   /* an earlier snapshot to which BOP_PART_SAME may refer; 0, 0: none */
  uint64_t part_bytes; /* size that parts should have, at most BOP_PART_SIZE_MAX */
} bop_snapshot_options;

typedef struct bop_restore_options {
  uint32_t size;
  const char* kind; /* of the machine that made the snapshot */
  uint32_t version; /* of the state in it */
  uint64_t bytes;   /* of all parts, so that a machine can refuse at once what has no space */
} bop_restore_options;

/* bop's services for a machine; valid from open to the return of close. */
typedef struct bop_machine_host {
  uint32_t size;
  void* context; /* first argument of each function below */

  /* Runs work(argument) on a worker thread and then done(argument) on the machine's thread, never
   * from within this call. Jobs of one queue run one after the other, in order; the queues run
   * concurrently. Never fails: the machine bounds the number of jobs it starts. */
  void (*offload)(void* context, bop_work_queue queue, void (*work)(void*), void (*done)(void*),
                  void* argument);

  /* Completes a call that returned BOP_PENDING, from within the done of a job and never from within
   * a call of the table. bop may call the machine again before it returns. For apply, `replies` has
   * one reply per entry; for query one; for sync none. `status` is BOP_OK or the error that halts the
   * replica. */
  void (*complete)(void* context, uint64_t token, int32_t status, const bop_reply* replies,
                   size_t reply_count);

  /* Logs a line. level: 0 debug, 1 info, 2 warning, 3 error. Any thread. */
  void (*log)(void* context, int32_t level, const char* text);

  /* An existing directory for the files of this instance of the machine alone, UTF-8. NULL: memory only. */
  const char* directory;

  /* The snapshot captures the state of this moment: that after applied(). Called once for each snapshot, on
   * the machine's thread, also from within a call, before the END of its parts. */
  void (*snapshot_point)(void* context, uint64_t handle);

  /* Completes a snapshot_next that returned BOP_PENDING. `part` is set if `status` is BOP_OK. */
  void (*complete_part)(void* context, uint64_t token, int32_t status, const bop_part* part);
} bop_machine_host;

typedef struct bop_machine_options {
  uint32_t size;
  const char* group;         /* its name */
  uint64_t memory_bytes;     /* limit of the machine's memory; 0: its own default */
  const char* configuration; /* the machine's own, JSON text or NULL */
  uint32_t version;          /* the one the group agreed on: behave as that version does */

  /* Whose state the directory is to have. A machine with files of its own records it in them, and refuses those of
   * another cluster, group or instance. group_id 0: not known. */
  uint8_t cluster[16];
  uint64_t group_id;
  uint64_t instance; /* the machines of a group on one node, one after the other */
} bop_machine_options;

/* What a machine knows of the state that it stored. */
typedef struct bop_machine_integrity {
  uint32_t size;
  int32_t
      status; /* BOP_OK; BOP_PENDING while it verifies its state after open; or the error that ended it */
  const char* reason; /* with an error: what is wrong, file and offset; valid until the next call */
  uint64_t verified_bytes; /* of its state, since open ... */
  uint64_t verify_bytes;   /* ... and in total; 0: not known yet */
  uint64_t scrubbed_bytes; /* since open */
  uint64_t scrub_passes;   /* complete ones, over all of its state, since open */
} bop_machine_integrity;

typedef struct bop_machine bop_machine; /* defined by the machine */

typedef struct bop_machine_table bop_machine_table;
struct bop_machine_table {
  uint32_t size;
  uint32_t abi;         /* BOP_MACHINE_ABI */
  const char* kind;     /* "kv" */
  uint32_t version;     /* newest that this code supports; stamped into entries */
  uint32_t version_min; /* oldest: it accepts entries, state and snapshots from this to `version` */

  /* Opens the state in host->directory, or an empty one. May block (it runs before the shard
   * serves). `self` is the table that contains this pointer, so that a library can create several
   * tables at run time, each followed by its own data. On failure `error` (capacity bytes) gets a
   * message that names the cause. */
  int32_t (*open)(const bop_machine_table* self, const bop_machine_host* host,
                  const bop_machine_options* options, bop_machine** machine, char* error,
                  size_t error_capacity);

  /* Applies entries in order and sets replies[i] for each (or completes later). */
  int32_t (*apply)(bop_machine* machine, const bop_entry* entries, size_t count, bop_reply* replies,
                   uint64_t token);

  /* Reads the state after all entries applied so far; changes nothing. */
  int32_t (*query)(bop_machine* machine, bop_bytes query, bop_reply* reply, uint64_t token);

  /* The last entry applied. */
  bop_position (*applied)(bop_machine* machine);

  /* The newest state hash that is ready; the call may start computing a newer one.
   * BOP_E_NOT_FOUND before the first. */
  int32_t (*state_hash)(bop_machine* machine, bop_state_hash* hash);

  /* ---- storage of its own ----
   * All three are NULL for a machine that keeps its state in memory: then only the newest snapshot is
   * durable. */

  /* Makes everything applied so far durable. */
  int32_t (*sync)(bop_machine* machine, uint64_t token);

  /* The last entry that the machine's own storage would retain after a power loss. The log is compacted
   * only up to it. A machine must not make entries permanent beyond the index that bop passed to
   * `stable`. */
  bop_position (*durable)(bop_machine* machine);

  /* `index` is min(committed, durable on this node): the machine may make that much permanent. */
  void (*stable)(bop_machine* machine, uint64_t index);

  /* ---- snapshots ----
   * All six are NULL, or none. While a snapshot is open apply, query and sync go on. An error ends the
   * snapshot or the restore; it does not fail the machine. */

  /* Begins a snapshot. The state that it captures is that of the moment of host->snapshot_point. */
  int32_t (*snapshot_begin)(bop_machine* machine, const bop_snapshot_options* options,
                            uint64_t token);
  /* The next part or piece. One call is open at a time for each snapshot. */
  int32_t (*snapshot_next)(bop_machine* machine, uint64_t handle, bop_part* part, uint64_t token);
  /* Also ends a snapshot early, when no call for it is open. */
  void (*snapshot_end)(bop_machine* machine, uint64_t handle);

  /* Restores a snapshot. Called only of an instance that was opened in an empty directory and has applied
   * nothing; another instance of the same machine may serve meanwhile. Parts are passed in order, as BYTES
   * (with pieces) or as FILE with an absolute path, which the machine may rename. After restore_end has
   * completed, applied() and durable() are `position`. `close` in its place abandons the restore. */
  int32_t (*restore_begin)(bop_machine* machine, const bop_restore_options* options,
                           uint64_t token);
  int32_t (*restore_part)(bop_machine* machine, const bop_part* part, uint64_t token);
  int32_t (*restore_end)(bop_machine* machine, bop_position position, uint64_t token);

  /* Stops without a sync: entries that are not durable are replayed from the log. bop calls it when no
   * job of this machine runs or will run; the machine frees the arguments of jobs whose done was not
   * called. Pending calls are never completed. */
  void (*close)(bop_machine* machine);

  /* Whether this machine understands a command, independent of its state: BOP_OK, or the status with
   * which apply would reply. Called before the command is proposed, on the node that received it, so
   * that a malformed command never enters the log; apply still receives commands that were not
   * checked. NULL: every command is proposed. */
  int32_t (*check)(bop_machine* machine, bop_bytes command);

  /* The group agreed on `version` in the entry `at`: every replica moves its state to it at that entry. A
   * function of the state and of `at` alone. NULL: there is nothing to do. */
  int32_t (*migrate)(bop_machine* machine, uint32_t version, const bop_entry* at, uint64_t token);

  /* Cancels the pending call of that token (a query, snapshot or restore), which completes soon, with
   * BOP_E_STOPPED or as it would have. NULL: such calls run to their end. */
  void (*cancel)(bop_machine* machine, uint64_t token);

  /* Why the machine applies nothing at the moment, for people: what it waits for ("flushing waits for space: ...").
   * NULL: nothing hinders it. Meanwhile the node is not ready and refuses commands with BOP_E_OVERLOADED.
   * The text is valid until the machine is called again. A function that is NULL: nothing ever does. */
  const char* (*obstacle)(bop_machine* machine);

  /* A hint: bop passes this query to `query` after a few others, so that the machine can load what it
   * will read into the processor's cache meanwhile. Changes nothing, and need not be followed by the query.
   * `query` is valid during the call. NULL: the machine has no use for it. */
  void (*expect_query)(bop_machine* machine, bop_bytes query);

  /* The integrity of its state. bop asks after open, after each `done` of a job and after a call that failed, so a
   * change must happen in one of these.
   * A machine may return from open before its state is verified. While the status is BOP_PENDING bop passes no query,
   * and the replica votes and acknowledges but does not campaign; apply may be called, and must return BOP_PENDING
   * until the state is verified. Once the status is an error the replica is halted with it and the reason, and the
   * machine is only closed. NULL: its state is always sound. */
  void (*integrity)(bop_machine* machine, bop_machine_integrity* integrity);

  /* Verifies about `max_bytes` more of the stored state, on BOP_WORK_WRITES; after the last of it, from the
   * beginning again. bop calls it within the budget of its configuration (scrub.bytes_per_s), one call at a
   * time. What is found damaged is reported by `integrity`. NULL: the machine has nothing to scrub. */
  int32_t (*scrub)(bop_machine* machine, uint64_t max_bytes, uint64_t token);
};

#ifdef __cplusplus
}
#endif

#endif
