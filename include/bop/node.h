/* bop/node.h: a node within the calling process (libbopd).
 *
 *   bop_node_format ──► bop_node_start ──► propose, query, status ... ──► bop_node_stop
 *   (once per directory)      ▲                                                 │
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
  bop_queue* queue;      /* where calls complete; NULL: callback */
  bop_callback callback; /* for programs without a queue; called on the node's threads, see
                          * bop_node_propose */
  void* context;         /* callback's first argument */
  /* Machines besides the built-in ones, by their `kind`; the tables must outlive the node. */
  const bop_machine_table* const* machines;
  size_t machine_count;
} bop_node_options;

/* Checks what bop_node_start checks before it touches anything: all that bop_config_check does, and that
 * the machine of each group on this node is built in or among the options (NULL: the built-in ones). A
 * program that formats a directory thereby refuses what could not be started later.
 * Errors: BAD_CONFIG, INVALID_ARGUMENT. Since 0.1. */
BOP_API int32_t bop_node_check(const bop_config* config, const bop_node_options* options,
                               char* error, size_t error_capacity);

/* Creates the data directory that the configuration names and, durably, its format file: cluster id,
 * node id, a new incarnation and a digest of the groups. The first start creates the logs, with the
 * initial configuration of each group as their first entries. Blocks while it writes.
 * Errors, all of which change nothing: ALREADY_FORMATTED (for this configuration), the errors that
 * bop_node_start would return (FOREIGN_DIRECTORY, NEWER_FORMAT, BAD_CONFIG, DAMAGED),
 * DIRECTORY_IN_USE, DISK_FULL, IO. Since 0.1. */
BOP_API int32_t bop_node_format(const bop_config* config, char* error, size_t error_capacity);

/* Starts a node on a formatted directory: recovers its log, opens its machines, listens, and then
 * returns; the group's leader may still have to be elected (bop_node_ready). The configuration is
 * copied. `options` may be NULL for a node that is used only through its sockets. Blocks while it
 * recovers. Stop it with bop_node_stop.
 * Errors, after which nothing of the node remains: BAD_CONFIG, NOT_FORMATTED, FOREIGN_DIRECTORY,
 * NEWER_FORMAT, DIRECTORY_IN_USE, ADDRESS_IN_USE, DAMAGED, IO, MACHINE, OVERLOADED (the system gives it no
 * thread or too little memory; the message names the limit). Since 0.1. */
BOP_API int32_t bop_node_start(const bop_config* config, const bop_node_options* options,
                               bop_node** node, char* error, size_t error_capacity);

/* Takes over the keys of a changed configuration that need no restart (bop_config_item.reloadable, except
 * logging.*, which is the process's: bop_logging_reload). Other keys keep their values. It returns before
 * the new values take effect, which takes a few milliseconds. Errors, all of which change nothing:
 * BAD_CONFIG, INVALID_ARGUMENT. Since 0.1. */
BOP_API int32_t bop_node_reload(bop_node* node, const bop_config* config, char* error,
                                size_t error_capacity);

/* Stops the node and frees the handle: refuses new work, steps down as leader, completes calls in
 * flight, closes sockets and machines, releases the directory. Acknowledged commands are durable with
 * or without a clean stop. Blocks for at most about timeout_ms (0: 5000); work not finished by then is
 * abandoned as in a crash, and its calls complete on the calling thread. Not from a callback.
 * Since 0.1. */
BOP_API void bop_node_stop(bop_node* node, uint32_t timeout_ms);

/* The id of a group on this node. Errors: NO_GROUP. Since 0.1. */
BOP_API int32_t bop_node_group(const bop_node* node, const char* name, uint64_t* group);

/* Replicates a command; a node that does not lead forwards it. Completes with the machine's answer
 * once the entry is committed and applied here or at the leader. The completion may come before this
 * function returns, on another thread.
 * A callback runs on the thread of the group's shard, whose stack has 1 MiB, and must be quick.
 * Errors: INVALID_ARGUMENT, NO_GROUP, TOO_LARGE, OVERLOADED, STOPPED. Since 0.1. */
BOP_API int32_t bop_node_propose(bop_node* node, const bop_request* request);

/* Answers a query from this node's machine, linearizably: the answer reflects every command that was
 * acknowledged before the call, by any node. Threads and errors as bop_node_propose. Since 0.1. */
BOP_API int32_t bop_node_query(bop_node* node, const bop_request* request);

/* Completes with the node's status as JSON text in `body`, the same as GET /v1/status.
 * Errors: OVERLOADED, STOPPED. Since 0.1. */
BOP_API int32_t bop_node_status(bop_node* node, uint64_t tag);

/* 1 if the node is ready as GET /readyz and the status mean it: for every group it knows a leader and has
 * caught up with it, and no condition keeps it from its service. Else 0. Each call gives the answer to an
 * earlier one and asks again, so that it never blocks. Since 0.1. */
BOP_API int32_t bop_node_ready(const bop_node* node);

/* The actual address of a listener, "127.0.0.1:7100": useful when the configuration gives port 0.
 * listener: "native", "resp", "http" or "peer". Owned by the node. NULL if there is none.
 * Since 0.1. */
BOP_API const char* bop_node_address(const bop_node* node, const char* listener);

#ifdef __cplusplus
}
#endif

#endif
