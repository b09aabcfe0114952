/* bop/client.h: the native client (libbop).
 *
 * A client keeps connections to the cluster's endpoints, remembers which one leads, and sends each
 * request there. A request that provably was not executed (refused before it was proposed, or never
 * sent) is retried, on other endpoints if necessary, until its timeout; a command that may have been
 * executed is not retried and completes with BOP_E_OUTCOME_UNKNOWN. Queries change nothing, so they
 * are always retried.
 */
#ifndef BOP_CLIENT_H
#define BOP_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "bop/bop.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bop_client bop_client;

typedef struct bop_client_options {
  uint32_t size;
  uint32_t connections;        /* to the endpoint in use; 0: 1, at most 4096 */
  const char* endpoints;       /* "HOST:PORT[,HOST:PORT...]", 1..64 of them; HOST is a name or IPv4,
                               * or IPv6 in brackets */
  const char* cluster_id;      /* 32 hexadecimal digits that the endpoints must have; NULL: any */
  uint32_t max_in_flight;      /* requests in flight; 0: 65536. One more is OVERLOADED */
  uint32_t connect_timeout_ms; /* 0: 1000 */
  bop_queue* queue;            /* where calls complete; NULL: callback */
  bop_callback callback;       /* on the client's own thread; the fastest way: a call made within it
                               * crosses no thread */
  void* context;
} bop_client_options;

/* Creates a client and its thread; connects on the first request. Close it with
 * bop_client_close. Errors: INVALID_ARGUMENT, BAD_ADDRESS, IO. Since 0.1. */
BOP_API int32_t bop_client_open(const bop_client_options* options, bop_client** client, char* error,
                                size_t error_capacity);

/* Completes calls in flight (STOPPED if never sent, else OUTCOME_UNKNOWN for commands),
 * closes the connections, joins the thread and frees the handle. Not from a callback. Since 0.1. */
BOP_API void bop_client_close(bop_client* client);

/* Replicates a command. Completes with the machine's answer.
 * Errors at the call: INVALID_ARGUMENT, TOO_LARGE, OVERLOADED, STOPPED.
 * Errors of the completion: those, and UNAVAILABLE and TIMEOUT (not executed) and OUTCOME_UNKNOWN,
 * whose `detail` names each endpoint's last cause; NO_GROUP, LOG_FULL, the machine's own. Since 0.1. */
BOP_API int32_t bop_client_propose(bop_client* client, const bop_request* request);

/* Answers a query, linearizably. Errors as bop_client_propose, without OUTCOME_UNKNOWN.
 * Since 0.1. */
BOP_API int32_t bop_client_query(bop_client* client, const bop_request* request);

/* Asks the endpoint at `connection` (its position in `endpoints`, from 0) for its status; completes
 * with JSON text in `body`, the same as GET /v1/status. Only size, timeout_ms, tag and connection of
 * the request are used. Errors as bop_client_query, but `detail` names only that endpoint's cause.
 * Since 0.1. */
BOP_API int32_t bop_client_status(bop_client* client, const bop_request* request);

/* Asks the endpoint at `connection` to take, list or verify snapshots of the replica of the group `group_name` on its
 * node: the payload is the word "take", "list" or "verify". Completes with JSON text in `body` (docs/formats/client.md).
 * A large snapshot takes long: set timeout_ms. Errors as bop_client_status, and UNSUPPORTED, NO_GROUP, DISK_FULL, IO;
 * DAMAGED or NOT_FOUND: a part of the newest snapshot, which `detail` names, does not match its digest. Since 0.1. */
BOP_API int32_t bop_client_snapshot(bop_client* client, const bop_request* request);

/* Each endpoint's address with the last error that it caused, as a message for people:
 * "127.0.0.1:7100: connection refused; 127.0.0.1:7110: ok". Truncated to `capacity` with its NUL.
 * Blocks for a turn of the client's thread, except in a callback. Since 0.1. */
BOP_API void bop_client_causes(bop_client* client, char* text, size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
