/* Three nodes in one process: a program that replicates its own state without running a server.
 *
 *   embed DIRECTORY [FIRST_PORT]     keeps the nodes' data in DIRECTORY/1..3
 *
 * The first run formats the directories. It starts the nodes, writes a key through one of them, reads it
 * through each, prints the status of a node, and stops.
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

static void die(const char* what, int32_t status, const char* message) {
  fprintf(stderr, "embed: %s: %s (%s)\n", what, *message ? message : bop_error_text(status),
          bop_error_name(status));
  exit(1);
}

/* ---- configuration and start ---- */

static void set(bop_config* config, const char* key, const char* value) {
  char error[512] = "";
  int32_t status = bop_config_set(config, key, value, error, sizeof error);
  if (status != BOP_OK) die(key, status, error);
}

/* The nodes need only peer listeners, on the chosen ports: their client is this process. */
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

/* ---- one call at a time ---- */

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

/* ---- messages of kv, with the codec of bop/kv.h ---- */

static bop_bytes text_bytes(const char* text) {
  bop_bytes bytes;
  bytes.data = (const uint8_t*)text;
  bytes.size = strlen(text);
  return bytes;
}

/* Both return the length of the message. */
static size_t encode_put(uint8_t* out, size_t capacity, const char* key, const char* value) {
  size_t size = 0;
  int32_t status;
  bop_kv_operation put;
  memset(&put, 0, sizeof put);
  put.op = BOP_KV_PUT;
  put.key = text_bytes(key);
  put.value = text_bytes(value);
  status = bop_kv_encode_command(&put, 1, out, capacity, &size);
  if (status != BOP_OK) die("command", status, "");
  return size;
}

static size_t encode_get(uint8_t* out, size_t capacity, const char* key) {
  size_t size = 0;
  int32_t status;
  bop_kv_query get;
  const bop_bytes keys[1] = {text_bytes(key)};
  memset(&get, 0, sizeof get);
  get.kind = BOP_KV_GET;
  get.keys = keys;
  get.key_count = 1;
  status = bop_kv_encode_query(&get, out, capacity, &size);
  if (status != BOP_OK) die("query", status, "");
  return size;
}

/* Whether the answer to a GET of one key is this value. */
static int answer_is(const bop_completion* answer, const char* value) {
  const bop_bytes expected = text_bytes(value);
  uint64_t index = 0;
  bop_kv_reader reader;
  bop_kv_item item;
  return bop_kv_open_items(answer->body, &index, &reader) == BOP_OK && reader.left == 1 &&
         bop_kv_next_item(&reader, &item) == 1 && item.present &&
         item.value.size == expected.size &&
         memcmp(item.value.data, expected.data, expected.size) == 0;
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

  answer =
      call(bop_node_propose, nodes[0], queue, bytes, encode_put(bytes, sizeof bytes, key, value));
  if (answer.status != BOP_OK) die("propose", answer.status, answer.detail);
  printf("node 1 wrote %s at index %llu\n", key, (unsigned long long)answer.index);

  for (i = 0; i < NODES; ++i) {
    answer = call(bop_node_query, nodes[i], queue, bytes, encode_get(bytes, sizeof bytes, key));
    if (answer.status != BOP_OK) die("query", answer.status, answer.detail);
    if (!answer_is(&answer, value))
      die("query", BOP_E_INTERNAL, "the value is not the one written");
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
