/* bop/bop.h: conventions of the C interface, versions, diagnostics, the completion queue.
 *
 * Conventions (they hold for every header of include/bop/ unless a function says otherwise)
 *  1. Language. C99, self-contained headers, UTF-8 text that ends in NUL. No C++ exception, signal
 *     handler or change of the locale crosses the interface. A text passed in is copied before the
 *     call returns.
 *  2. Results. A function that can fail returns BOP_OK or a negative BOP_E_* (bop/error.h) and then
 *     changed nothing. Where it takes `char* error, size_t error_capacity` it writes a message in the
 *     caller's terms there, truncated to fit and terminated by NUL; NULL with 0 asks for none. A
 *     caller's mistake is an error, never undefined behaviour, except for invalid pointers.
 *  3. Handles are opaque. The caller that creates one destroys it, once, with the function named
 *     beside its creator, which accepts NULL. Using a handle after that is undefined.
 *  4. Structs carry their size in bytes as first field: set it to sizeof the struct (or zero the
 *     struct and set it). A field past that size is absent and takes its default, as does a field
 *     that is 0 or NULL if its comment gives a default. The caller also sets the size of a struct
 *     that bop fills; bop never writes past it.
 *  5. Units stand at the end of names: _ms, _us, _ns, _bytes. Times are durations, never points in
 *     time, so no clocks have to agree.
 *  6. Threads. Every function may be called from any thread. Calls on one handle may run
 *     concurrently, except for its destruction, which comes after all others have returned. No
 *     function blocks longer than its comment says, and none holds a lock during a callback.
 *  7. Asynchronous calls take a `tag` and complete exactly once: into the queue of their handle, or
 *     by its callback. A call that returns an error does not complete. Destroying a handle first
 *     completes its calls in flight, with BOP_E_STOPPED or BOP_E_OUTCOME_UNKNOWN.
 *  8. Bytes passed in are copied or consumed before the call returns. Bytes of a completion are
 *     valid until the queue is drained again or destroyed; in a callback, until it returns.
 *  9. Bounds. Every queue has a limit, and exceeding it is BOP_E_OVERLOADED or
 *     BOP_E_TOO_LARGE, at the call, never a silent loss.
 * 10. Execution. Only BOP_E_OUTCOME_UNKNOWN leaves open whether a command was executed.
 *     After every other error it was not, and will not be.
 * 11. A bug in bop prints the assertion that failed and aborts, or calls the handler that
 *     bop_set_assert_handler installed, which must not return. Faults of the environment (disks,
 *     peers, input) never do.
 * 12. Compatibility. Symbols are versioned; this interface keeps its meaning for all 0.1.x. `Since`
 *     names the version that introduced a function.
 */
#ifndef BOP_BOP_H
#define BOP_BOP_H

#include <stddef.h>
#include <stdint.h>

#include "bop/error.h"
#include "bop/machine.h" /* bop_bytes */

#ifdef __cplusplus
extern "C" {
#endif

#define BOP_VERSION_MAJOR 0
#define BOP_VERSION_MINOR 1
#define BOP_VERSION_PATCH 0

/* ---- version ---- */

/* The library's version, "0.1.0". Static storage. Since 0.1. */
BOP_API const char* bop_version(void);

/* The library's version as (major << 16 | minor << 8 | patch), to compare with BOP_VERSION_NUMBER
 * of the headers that the program was compiled with. Since 0.1. */
#define BOP_VERSION_NUMBER \
  ((uint32_t)BOP_VERSION_MAJOR << 16 | (uint32_t)BOP_VERSION_MINOR << 8 | BOP_VERSION_PATCH)
BOP_API uint32_t bop_version_number(void);

/* ---- diagnostics ---- */

typedef enum bop_log_level {
  BOP_LOG_DEBUG = 0,
  BOP_LOG_INFO = 1,
  BOP_LOG_WARNING = 2,
  BOP_LOG_ERROR = 3,
  BOP_LOG_OFF = 4
} bop_log_level;

typedef struct bop_logging {
  uint32_t size;
  int32_t level;    /* bop_log_level: messages below it are not logged */
  int32_t json;     /* 0: console lines; else one JSON object per line */
  const char* path; /* file to append to; NULL: standard error */
} bop_logging;

/* Configures logging for the whole process. Without this call, messages of level warning and above go
 * to standard error. Logging never blocks its caller: when the queue of messages is full, the oldest
 * are dropped. Call it before the first handle is created.
 * Errors: INVALID_ARGUMENT, IO (path cannot be opened). Since 0.1. */
BOP_API int32_t bop_logging_start(const bop_logging* logging, char* error, size_t error_capacity);

/* Changes the level, and opens the path again, or another path: after the file was renamed to rotate it.
 * `json` keeps the value that logging was started with. Any thread, between start and stop.
 * Errors: INVALID_ARGUMENT, IO (path cannot be opened; messages go on to the old file). Since 0.1. */
BOP_API int32_t bop_logging_reload(const bop_logging* logging, char* error, size_t error_capacity);

/* Writes the queued messages, then returns to the state before bop_logging_start. Call it after the
 * last handle is destroyed. Blocks until they are written. Since 0.1. */
BOP_API void bop_logging_stop(void);

/* Logs one message of the calling program, through the same queue, level and file. level: bop_log_level,
 * BOP_LOG_DEBUG to BOP_LOG_ERROR; a message of another level, or NULL, is ignored. Control characters
 * are escaped, so that one message is one line. Any thread. Since 0.1. */
BOP_API void bop_logging_write(int32_t level, const char* text);

/* Sets the function that is called for a bug in bop (convention 11); it must not return. NULL: print
 * and abort. Call it before any other function. Since 0.1. */
typedef void (*bop_assert_handler)(const char* file, int line, const char* text);
BOP_API void bop_set_assert_handler(bop_assert_handler handler);

/* ---- requests and completions ---- */

/* A command to replicate or a query to answer, for both bop/node.h and bop/client.h. */
typedef struct bop_request {
  uint32_t size;
  uint32_t timeout_ms; /* 0: 5000. Past it: TIMEOUT, or OUTCOME_UNKNOWN for a command in flight */
  uint64_t group;      /* its id; 0: the one that `group_name` names */
  const char* group_name; /* used when group is 0; NULL: "kv" */
  bop_bytes payload;      /* for the machine; for kv see bop/kv.h */
  uint64_t tag;           /* returned in the completion */
  uint32_t connection;    /* clients: requests with the same number use one connection, in order */
} bop_request;

/* The result of an asynchronous call. Its layout is fixed; later versions add fields in place of
 * `reserved`. */
typedef struct bop_completion {
  uint64_t tag;       /* the request's */
  int32_t status;     /* BOP_OK, the machine's own status, or bop's error (bop/error.h) */
  uint32_t attempts;  /* clients: how often the request was sent, 0: never */
  uint64_t index;     /* commands: of the log entry, 0 when none is known */
  uint64_t leader;    /* node id of the group's leader, 0: unknown */
  bop_bytes body;     /* the machine's answer */
  const char* detail; /* message for people, never NULL, may be "" */
  uint64_t reserved[2];
} bop_completion;

/* Called on the handle's own thread, one call at a time. It must not block, and may start further
 * calls on the handle (they cross no thread) but not destroy it. The completion is valid until it
 * returns. */
typedef void (*bop_callback)(void* context, const bop_completion* completion);

/* ---- the completion queue ---- */

/* Holds the completions of any number of handles until they are drained, oldest first. It must outlive
 * the handles that complete into it. */
typedef struct bop_queue bop_queue;

/* Creates a queue that holds at most `capacity` completions, including those of calls in flight; a
 * call beyond that returns OVERLOADED. capacity 0: 65536.
 * Destroy it with bop_queue_destroy. Errors: IO (no descriptors left). Since 0.1. */
BOP_API int32_t bop_queue_create(uint32_t capacity, bop_queue** queue);

/* Frees the queue and its undrained completions. Since 0.1. */
BOP_API void bop_queue_destroy(bop_queue* queue);

/* A file descriptor for poll, epoll, kqueue or an event loop, readable while the queue holds
 * completions (on Windows the HANDLE of an event). Owned by the queue: do not read or close it.
 * Since 0.1. */
BOP_API intptr_t bop_queue_handle(const bop_queue* queue);

/* Moves up to `capacity` completions into `completions` and returns their number, 0 if there are none.
 * Never blocks. Their bytes stay valid until the next call of bop_queue_drain on this queue, so only
 * one thread at a time may drain a queue. Since 0.1. */
BOP_API size_t bop_queue_drain(bop_queue* queue, bop_completion* completions, size_t capacity);

/* Waits until the queue holds a completion, for programs without an event loop. timeout_ms < 0:
 * forever. Returns BOP_OK or TIMEOUT. Since 0.1. */
BOP_API int32_t bop_queue_wait(bop_queue* queue, int64_t timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
