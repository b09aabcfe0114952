/* bop/error.h: the one list of errors.
 *
 * Names, texts and docs/ERRORS.md are generated from BOP_ERROR_MAP; no error is defined anywhere
 * else. Zero is success, every error is negative, a number is never reused. Each text states what
 * happened and, if there is one, what to do next.
 */
#ifndef BOP_ERROR_H
#define BOP_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#define BOP_ERROR_MAP(X)                                                                         \
  X(INVALID_ARGUMENT, -1, "an argument is outside its documented range")                         \
  X(UNSUPPORTED, -2, "this operation is not supported here")                                     \
  X(NOT_FOUND, -3, "not found")                                                                  \
  X(CONDITION_FAILED, -4, "the condition did not hold, nothing was changed")                     \
  X(TOO_LARGE, -5, "a length is over its limit")                                                 \
  X(OVERLOADED, -6, "a bounded queue is full, retry later")                                      \
  X(TIMEOUT, -7, "the deadline passed before the operation began or was answered")               \
  X(UNAVAILABLE, -8, "no leader can be reached, nothing was executed")                           \
  X(OUTCOME_UNKNOWN, -9, "the request may or may not have been executed, read before you retry") \
  X(NOT_LEADER, -10, "this node does not lead the group")                                        \
  X(STOPPED, -11, "the node or handle is stopped")                                               \
  X(NO_GROUP, -12, "this node has no group of that name or id")                                  \
  X(CONFIGURATION_PENDING, -13, "another change of the members is not finished, retry later")    \
  X(IO, -20, "the operating system reported an I/O error")                                       \
  X(DISK_FULL, -21, "no disk space left for the log, free space or add a disk")                  \
  X(LOG_FULL, -22, "the log reached its configured size and no segment can be reused yet")       \
  X(LATCHED, -23, "a failed write closed the log, reopen the node to verify it")                 \
  X(DAMAGED, -24, "acknowledged data is damaged, see the file and offset")                       \
  X(SUSPECT, -25, "this replica may have lost acknowledged data and takes no part")              \
  X(DIRECTORY_IN_USE, -26, "another process uses this data directory")                           \
  X(NOT_FORMATTED, -27, "the data directory is not formatted, run bopd format")                  \
  X(FOREIGN_DIRECTORY, -28, "the data directory belongs to another cluster or node")             \
  X(NEWER_FORMAT, -29, "the data was written by a newer version, upgrade this one")              \
  X(ALREADY_FORMATTED, -30, "the data directory is already formatted")                           \
  X(OLDER_FORMAT, -31, "the data was written by an older version in a format no longer read")    \
  X(ADDRESS_IN_USE, -40, "another process listens on this address")                              \
  X(CONNECTION_REFUSED, -41, "the endpoint refused the connection")                              \
  X(CONNECTION_LOST, -42, "the connection was closed")                                           \
  X(BAD_ADDRESS, -43, "the address is not HOST:PORT")                                            \
  X(PROTOCOL, -44, "the peer sent malformed data")                                               \
  X(WRONG_CLUSTER, -45, "the peer belongs to another cluster")                                   \
  X(VERSION_MISMATCH, -46, "the peer speaks another protocol version")                           \
  X(WRONG_INCARNATION, -47, "the peer's data directory is not the one known for its node id")    \
  X(BAD_CONFIG, -60, "the configuration is invalid, see the line and key")                       \
  X(WRONG_TYPE, -61, "the value is not of the type the operation needs")                         \
  X(OVERFLOW, -62, "the result does not fit in 64 bits, nothing was changed")                    \
  X(MACHINE, -70, "the state machine failed and its replica is halted")                          \
  X(INTERNAL, -99, "a bug in bop: please report it")

/* A status is BOP_OK, BOP_PENDING (only where a function documents it) or one of BOP_E_*. */
typedef enum bop_status
#ifdef __cplusplus
    : int /* so that it can hold errors that a newer version adds */
#endif
{ BOP_PENDING = 1,
  BOP_OK = 0,
#define BOP_ERROR_ENUM(name, number, text) BOP_E_##name = number,
  BOP_ERROR_MAP(BOP_ERROR_ENUM)
#undef BOP_ERROR_ENUM
} bop_status;

#if defined(_WIN32)
#define BOP_API __declspec(dllexport)
#else
#define BOP_API __attribute__((visibility("default")))
#endif

/* "BOP_E_TIMEOUT"; "BOP_E_?" for a number that is not in the list. Static storage, any thread. */
BOP_API const char* bop_error_name(int status);

/* The text of the list. Static storage, any thread. */
BOP_API const char* bop_error_text(int status);

#ifdef __cplusplus
}
#endif

#endif
