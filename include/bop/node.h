/* bop/node.h: a node within the calling process (libbopd).
 *
 *   bop_node_format ──► bop_node_start ──► propose, query, status ... ──► bop_node_stop
 *   (once a directory)        ▲                                                 │
 *                             └──────────────── later, or after a crash ────────┘
 *
 * A process may hold several nodes: each has its own configuration, directory and threads.
 */
#ifndef BOP_NODE_H
#define BOP_NODE_H

#include <stddef.h>
#include <stdint.h>

#include "bop/bop.h"
#include "bop/config.h"
#include "bop/machine.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bop_node bop_node;

typedef struct bop_node_options {
  uint32_t size;
  bop_queue* queue;      /* where its calls complete; NULL: callback */
  bop_callback callback; /* sugar for programs without a queue; called on the node's threads, see
                          * bop_node_propose */
  void* context;         /* callback's first argument */
  /* Machines beside the built-in ones, by their `kind`; the tables must outlive the node. */
  const bop_machine_table* const* machines;
  size_t machine_count;
} bop_node_options;

/* Makes the data directory that the configuration names and, durably, the format file in it: cluster
 * id, node id, a fresh incarnation and a digest of the groups. The first start makes the logs, with the
 * initial configuration of each group as their first entries. Blocks while it writes.
 * Errors, where nothing was touched: ALREADY_FORMATTED, for this configuration, else what
 * bop_node_start would say (FOREIGN_DIRECTORY, NEWER_FORMAT, BAD_CONFIG, DAMAGED);
 * DIRECTORY_IN_USE, DISK_FULL, IO. Since 0.1. */
BOP_API int32_t bop_node_format(const bop_config* config, char* error, size_t error_capacity);

/* Starts a node on a formatted directory: recovers its log, opens its machines, listens, and then
 * returns; the group's leader may still have to be elected (bop_node_ready). The configuration is
 * copied. `options` may be NULL: a node that is only reached by its sockets. Blocks while it
 * recovers. Stop it with bop_node_stop.
 * Errors: BAD_CONFIG, NOT_FORMATTED, FOREIGN_DIRECTORY, NEWER_FORMAT, DIRECTORY_IN_USE,
 * ADDRESS_IN_USE, DAMAGED, IO, MACHINE. Since 0.1. */
BOP_API int32_t bop_node_start(const bop_config* config, const bop_node_options* options,
                               bop_node** node, char* error, size_t error_capacity);

/* Stops the node and frees the handle: refuses new work, gives up leading, completes what is under
 * way, closes its sockets and its machines, lets go of the directory. What was acknowledged is
 * durable with or without a clean stop. Blocks at most about timeout_ms (0: 5000); whatever is not
 * done by then is abandoned as a crash would, and its calls complete on the calling thread. Not from a callback. Since 0.1. */
BOP_API void bop_node_stop(bop_node* node, uint32_t timeout_ms);

/* The id of a group on this node. Errors: NO_GROUP. Since 0.1. */
BOP_API int32_t bop_node_group(const bop_node* node, const char* name, uint64_t* group);

/* Replicates a command; a node that does not lead forwards it. Completes with the machine's answer
 * once the entry is committed and applied here or at the leader. The completion may come before this
 * function returns, on another thread.
 * A callback is called on the thread of the group's shard: it must be quick.
 * Errors: INVALID_ARGUMENT, NO_GROUP, TOO_LARGE, OVERLOADED, STOPPED. Since 0.1. */
BOP_API int32_t bop_node_propose(bop_node* node, const bop_request* request);

/* Answers a question from this node's machine, linearizably: the answer reflects every command that
 * was answered before the call, by any node. Threads and errors as bop_node_propose. Since 0.1. */
BOP_API int32_t bop_node_query(bop_node* node, const bop_request* request);

/* Completes with the node's status as JSON text in `body`, the same as GET /v1/status.
 * Errors: OVERLOADED, STOPPED. Since 0.1. */
BOP_API int32_t bop_node_status(bop_node* node, uint64_t tag);

/* 1 when every group has a leader that this node knows and has caught up with, else 0. Since 0.1. */
BOP_API int32_t bop_node_ready(const bop_node* node);

/* Where a listener really is, "127.0.0.1:7100": useful when the configuration said port 0.
 * listener: "native", "resp", "http" or "peer". The text is the node's own. NULL when there is none.
 * Since 0.1. */
BOP_API const char* bop_node_address(const bop_node* node, const char* listener);

#ifdef __cplusplus
}
#endif

#endif
