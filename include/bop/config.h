/* bop/config.h: a node's configuration.
 *
 * A configuration is a set of keys with typed values (docs/CONFIGURATION.md lists them). Each value
 * comes from the strongest source that gives it, whatever the order of the calls:
 *
 *   flag (bop_config_set) > environment (BOP_*) > file (TOML) > default
 *
 * and records where it came from. Keys are written with dots as TOML tables nest: "log.max_bytes";
 * the environment spells that BOP_LOG_MAX_BYTES. Lists ("peers", "groups") are one value each; in the
 * environment and for bop_config_set they are written as a TOML value: [{id = 1, address = "…"}].
 *
 * Reading is strict: an unknown key, a key given twice, a value of the wrong type or out of range is
 * BOP_E_BAD_CONFIG with its source, line and key in `error`, and leaves the configuration as it was.
 * A configuration is used by one thread at a time.
 */
#ifndef BOP_CONFIG_H
#define BOP_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "bop/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bop_config bop_config;

typedef enum bop_config_origin {
  BOP_CONFIG_DEFAULT = 0,
  BOP_CONFIG_FILE = 1,
  BOP_CONFIG_ENVIRONMENT = 2,
  BOP_CONFIG_FLAG = 3
} bop_config_origin;

/* A configuration of defaults. Destroy it with bop_config_destroy. Since 0.1. */
BOP_API int32_t bop_config_create(bop_config** config);
BOP_API void bop_config_destroy(bop_config* config);

/* Reads TOML from a file (at most 1 MiB). Blocks while it reads. A relative data_directory in it is
 * relative to the file's folder. Errors: NOT_FOUND, IO, BAD_CONFIG. Since 0.1. */
BOP_API int32_t bop_config_load_file(bop_config* config, const char* path, char* error,
                                     size_t error_capacity);

/* Reads TOML from memory; `name` stands for the file in errors and origins. Errors: BAD_CONFIG.
 * Since 0.1. */
BOP_API int32_t bop_config_load_text(bop_config* config, const char* text, size_t size_bytes,
                                     const char* name, char* error, size_t error_capacity);

/* Reads the keys that the process's environment gives. A BOP_ variable that is not a key is ignored.
 * Not while another thread changes the environment. Errors: BAD_CONFIG. Since 0.1. */
BOP_API int32_t bop_config_load_environment(bop_config* config, char* error, size_t error_capacity);

/* Sets one key, as a flag does. `value` is plain text for a key of type text, else a TOML value.
 * Errors: BAD_CONFIG (also for an unknown key). Since 0.1. */
BOP_API int32_t bop_config_set(bop_config* config, const char* key, const char* value, char* error,
                               size_t error_capacity);

/* Checks the configuration as a whole: required keys are set, node_id is among the peers, voters are
 * peers, addresses are on loopback unless `insecure`, timeouts are consistent.
 * bop_node_format and bop_node_start do this themselves. Errors: BAD_CONFIG. Since 0.1. */
BOP_API int32_t bop_config_check(const bop_config* config, char* error, size_t error_capacity);

/* One key with its value. All pointers are owned by the configuration, valid until it is changed or
 * destroyed. */
typedef struct bop_config_item {
  uint32_t size;
  int32_t origin;     /* bop_config_origin */
  const char* key;    /* "log.max_bytes" */
  const char* value;  /* as TOML writes it: 8589934592, "127.0.0.1:7100", [{id = 1, …}] */
  const char* source; /* "default", "bopd.toml:12", "BOP_LOG_MAX_BYTES", "flag" */
  const char* help;   /* one line: meaning, unit and range */
  const char* text; /* the value without TOML's quotes, when it is of type text; else as `value` */
  int32_t reloadable; /* 1: a running node takes over a changed value (bop_node_reload,
                       * bop_logging_reload); 0: it needs a restart */
} bop_config_item;

/* The keys in the order of the documentation: index 0, 1, 2 ... until NOT_FOUND. Since 0.1. */
BOP_API int32_t bop_config_at(const bop_config* config, size_t index, bop_config_item* item);

/* One key by name. Errors: NOT_FOUND. Since 0.1. */
BOP_API int32_t bop_config_get(const bop_config* config, const char* key, bop_config_item* item);

/* The values that are not defaults as a TOML document that bop_config_load_text takes: up to
 * `capacity` bytes into `text`, with a NUL. *size_bytes gets the length without NUL, even
 * if it does not fit; text may be NULL with 0. Errors: TOO_LARGE. Since 0.1. */
BOP_API int32_t bop_config_write(const bop_config* config, char* text, size_t capacity,
                                 size_t* size_bytes);

#ifdef __cplusplus
}
#endif

#endif
