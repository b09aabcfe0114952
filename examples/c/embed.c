/* Three nodes in one process: a program that replicates its own state without running a server.
 *
 *   embed DIRECTORY [FIRST_PORT]     keeps the nodes' data in DIRECTORY/1..3
 *
 * It formats what is not formatted yet, starts the nodes, writes a key through one of them and reads it
 * through each, prints a node's status and stops.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bop/bop.h"
#include "bop/config.h"
#include "bop/kv.h"
#include "bop/node.h"

enum { NODES = 3 };

static const char* const cluster_id = "0123456789abcdef0123456789abcdef";

static void die(const char* what, int32_t status, const char* words) {
  fprintf(stderr, "embed: %s: %s (%s)\n", what, *words ? words : bop_error_text(status),
          bop_error_name(status));
  exit(1);
}

/* ---- configuration and start ---- */

static void set(bop_config* config, const char* key, const char* value) {
  char error[512] = "";
  int32_t status = bop_config_set(config, key, value, error, sizeof error);
  if (status != BOP_OK) die(key, status, error);
}

/* The nodes reach each other on ports that the caller chose; their clients are in this process. */
static bop_config* configure(int id, const char* directory, int first_port) {
  bop_config* config = NULL;
  char text[1024];
  int32_t status = bop_config_create(&config);
  if (status != BOP_OK) die("configuration", status, "");
  set(config, "cluster_id", cluster_id);
  snprintf(text, sizeof text, "%d", id);
  set(config, "node_id", text);
  snprintf(text, sizeof text, "%s/%d", directory, id);
  set(config, "data_directory", text);
  snprintf(text, sizeof text,
           "[{id = 1, address = \"127.0.0.1:%d\"}, {id = 2, address = \"127.0.0.1:%d\"}, "
           "{id = 3, address = \"127.0.0.1:%d\"}]",
           first_port, first_port + 1, first_port + 2);
  set(config, "peers", text);
  snprintf(text, sizeof text, "127.0.0.1:%d", first_port + id - 1);
  set(config, "listen.peer", text);
  set(config, "listen.native", "");
  set(config, "listen.resp", "");
  set(config, "listen.http", "");
  set(config, "log.segment_bytes", "4194304");
  return config;
}

static bop_node* start(int id, const char* directory, int first_port, bop_queue* queue) {
  char error[1024] = "";
  bop_node* node = NULL;
  bop_node_options options;
  bop_config* config = configure(id, directory, first_port);
  int32_t status = bop_node_format(config, error, sizeof error);
  if (status != BOP_OK && status != BOP_E_ALREADY_FORMATTED) die("format", status, error);
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.queue = queue;
  status = bop_node_start(config, &options, &node, error, sizeof error);
  if (status != BOP_OK) die("start", status, error);
  bop_config_destroy(config);
  return node;
}

/* ---- one call, and waiting for it ---- */

static bop_completion wait_for(bop_queue* queue, uint64_t tag) {
  bop_completion completion;
  for (;;) {
    while (bop_queue_drain(queue, &completion, 1) == 1) {
      if (completion.tag == tag) return completion;
    }
    bop_queue_wait(queue, -1);
  }
}

static bop_completion call(int32_t (*function)(bop_node*, const bop_request*), bop_node* node,
                           bop_queue* queue, const uint8_t* bytes, size_t size) {
  static uint64_t tag = 0;
  int32_t status;
  bop_request request;
  memset(&request, 0, sizeof request);
  request.size = sizeof request;
  request.timeout_ms = 20000;
  request.payload.data = bytes;
  request.payload.size = size;
  request.tag = ++tag;
  status = function(node, &request);
  if (status != BOP_OK) die("call", status, "");
  return wait_for(queue, tag);
}

/* ---- the machine kv's messages, as bop/kv.h defines them ---- */

static size_t put_number(uint8_t* out, uint64_t value, size_t bytes) {
  size_t i;
  for (i = 0; i < bytes; ++i) out[i] = (uint8_t)(value >> (8 * i));
  return bytes;
}

static size_t put_command(uint8_t* out, const char* key, const char* value) {
  size_t at = 0;
  at += put_number(out + at, BOP_KV_VERSION, 1);
  at += put_number(out + at, 0, 1);
  at += put_number(out + at, 1, 2); /* one operation */
  at += put_number(out + at, BOP_KV_PUT, 1);
  at += put_number(out + at, 0, 1); /* no flags */
  at += put_number(out + at, strlen(key), 2);
  at += put_number(out + at, strlen(value), 4);
  memcpy(out + at, key, strlen(key));
  at += strlen(key);
  memcpy(out + at, value, strlen(value));
  return at + strlen(value);
}

static size_t get_question(uint8_t* out, const char* key) {
  size_t at = 0;
  at += put_number(out + at, BOP_KV_VERSION, 1);
  at += put_number(out + at, BOP_KV_GET, 1);
  at += put_number(out + at, 0, 2); /* no flags */
  at += put_number(out + at, 1, 2); /* one key */
  at += put_number(out + at, strlen(key), 2);
  memcpy(out + at, key, strlen(key));
  return at + strlen(key);
}

/* The answer: u64 index, u16 count, then the item: u8 present, u64 revision, u32 size, value. */
enum { ANSWER_HEAD = 10, ITEM_HEAD = 13 };

static int answer_is(const bop_completion* answer, const char* value) {
  const size_t size = strlen(value);
  return answer->body.size == ANSWER_HEAD + ITEM_HEAD + size &&
         answer->body.data[ANSWER_HEAD] == 1 &&
         memcmp(answer->body.data + ANSWER_HEAD + ITEM_HEAD, value, size) == 0;
}

int main(int argc, char** argv) {
  const char* key = "greeting";
  const char* value = "hello from one process";
  const int first_port = argc > 2 ? atoi(argv[2]) : 7190;
  uint8_t bytes[256];
  bop_node* nodes[NODES];
  bop_queue* queue = NULL;
  bop_completion answer;
  int32_t status;
  int i;
  if (argc < 2) {
    fprintf(stderr, "usage: embed DIRECTORY [FIRST_PORT]\n");
    return 2;
  }
  status = bop_queue_create(0, &queue);
  if (status != BOP_OK) die("queue", status, "");
  for (i = 0; i < NODES; ++i) nodes[i] = start(i + 1, argv[1], first_port, queue);
  printf("%d nodes run in %s\n", NODES, argv[1]);

  answer = call(bop_node_propose, nodes[0], queue, bytes, put_command(bytes, key, value));
  if (answer.status != BOP_OK) die("propose", answer.status, answer.detail);
  printf("node 1 wrote %s at index %llu\n", key, (unsigned long long)answer.index);

  for (i = 0; i < NODES; ++i) {
    answer = call(bop_node_query, nodes[i], queue, bytes, get_question(bytes, key));
    if (answer.status != BOP_OK) die("query", answer.status, answer.detail);
    if (!answer_is(&answer, value)) die("query", BOP_E_INTERNAL, "another value was read");
    printf("node %d reads: %s\n", i + 1, value);
  }

  status = bop_node_status(nodes[0], 0);
  if (status != BOP_OK) die("status", status, "");
  answer = wait_for(queue, 0);
  printf("%.*s\n", (int)answer.body.size, (const char*)answer.body.data);

  for (i = 0; i < NODES; ++i) bop_node_stop(nodes[i], 0);
  bop_queue_destroy(queue);
  printf("stopped\n");
  return 0;
}
