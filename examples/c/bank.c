/* A bank on three nodes: a program with a state machine of its own (bank_machine.h), without any server beside it.
 *
 *   bank NODE DIRECTORY FIRST_PORT    runs node 1, 2 or 3, with its data in DIRECTORY/NODE
 *   bank self-test                    takes a snapshot of a bank and restores it, without nodes
 *
 * Run one process for each node. Each reads lines from its standard input, and answers each with one line:
 *
 *   transfer alice bob 5     a command: "ok", and the reply; or the name of an error and what is known about it
 *   ? balance bob            a query, in the same way
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bank_machine.h"
#include "bop/bop.h"
#include "bop/config.h"
#include "bop/node.h"

static void die(const char* what, int32_t status, const char* message) {
  fprintf(stderr, "bank: %s: %s (%s)\n", what, *message ? message : bop_error_text(status),
          bop_error_name(status));
  exit(1);
}

/* ---- the node ---- */

static void set(bop_config* config, const char* key, const char* value) {
  char error[512] = "";
  int32_t status = bop_config_set(config, key, value, error, sizeof error);
  if (status != BOP_OK) die(key, status, error);
}

static bop_config* configure(int id, const char* directory, int first_port) {
  bop_config* config = NULL;
  char text[1024];
  int32_t status = bop_config_create(&config);
  if (status != BOP_OK) die("configuration", status, "");
  set(config, "cluster_id", "0123456789abcdef0123456789abcdef");
  snprintf(text, sizeof text, "%d", id);
  set(config, "node_id", text);
  snprintf(text, sizeof text, "%s/%d", directory, id);
  set(config, "data_directory", text);
  snprintf(text, sizeof text,
           "[{id = 1, address = \"127.0.0.1:%d\"}, {id = 2, address = \"127.0.0.1:%d\"}, "
           "{id = 3, address = \"127.0.0.1:%d\"}]",
           first_port, first_port + 1, first_port + 2);
  set(config, "peers", text);
  set(config, "groups", "[{name = \"bank\", id = 1, machine = \"bank\"}]");
  snprintf(text, sizeof text, "127.0.0.1:%d", first_port + id - 1);
  set(config, "listen.peer", text);
  set(config, "listen.native", "");
  set(config, "listen.resp", "");
  set(config, "listen.http", "");
  set(config, "log.segment_bytes", "4194304");
  return config;
}

static bop_node* start(bop_config* config, bop_queue* queue) {
  const bop_machine_table* const machines[] = {bank_machine()};
  char error[1024] = "";
  bop_node* node = NULL;
  bop_node_options options;
  int32_t status = bop_node_format(config, error, sizeof error);
  if (status != BOP_OK && status != BOP_E_ALREADY_FORMATTED) die("format", status, error);
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.queue = queue;
  options.machines = machines;
  options.machine_count = 1;
  status = bop_node_start(config, &options, &node, error, sizeof error);
  if (status != BOP_OK) die("start", status, error);
  return node;
}

/* One call at a time. */
static bop_completion call(bop_node* node, bop_queue* queue, const char* line) {
  static uint64_t tag = 0;
  const int is_query = strncmp(line, "? ", 2) == 0;
  const char* text = is_query ? line + 2 : line;
  int32_t status;
  bop_completion completion;
  bop_request request;
  memset(&request, 0, sizeof request);
  request.size = sizeof request;
  request.timeout_ms = 10000;
  request.payload.data = (const uint8_t*)text;
  request.payload.size = strlen(text);
  request.tag = ++tag;
  status = bop_node_group(node, "bank", &request.group);
  if (status != BOP_OK) die("group", status, "");
  status = is_query ? bop_node_query(node, &request) : bop_node_propose(node, &request);
  if (status != BOP_OK) die("call", status, "");
  for (;;) {
    while (bop_queue_drain(queue, &completion, 1) == 1)
      if (completion.tag == tag) return completion;
    bop_queue_wait(queue, -1);
  }
}

static int run(int id, const char* directory, int first_port) {
  char line[256];
  bop_queue* queue = NULL;
  bop_node* node;
  bop_config* config = configure(id, directory, first_port);
  int32_t status = bop_queue_create(0, &queue);
  if (status != BOP_OK) die("queue", status, "");
  node = start(config, queue);
  bop_config_destroy(config);
  printf("node %d runs\n", id);
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL) {
    bop_completion reply;
    line[strcspn(line, "\n")] = '\0';
    reply = call(node, queue, line);
    if (reply.status == BOP_OK)
      printf("ok %.*s\n", (int)reply.body.size, (const char*)reply.body.data);
    else
      printf("%s %s\n", bop_error_name(reply.status), reply.detail);
    fflush(stdout);
  }
  bop_node_stop(node, 0);
  bop_queue_destroy(queue);
  return 0;
}

/* ---- a snapshot, without nodes ---- */

enum { PARTS_MAX = 64 };

static bop_position point; /* of the snapshot */
static bop_machine* taken; /* the bank that makes it */

static void note_point(void* context, uint64_t handle) {
  (void)context;
  (void)handle;
  point = bank_machine()->applied(taken);
}

static bop_machine* open_bank(const bop_machine_host* host) {
  char error[256] = "";
  bop_machine* bank = NULL;
  bop_machine_options options;
  int32_t status;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.version = 1;
  status = bank_machine()->open(bank_machine(), host, &options, &bank, error, sizeof error);
  if (status != BOP_OK) die("open", status, error);
  return bank;
}

static void apply(bop_machine* bank, const char* text) {
  bop_reply reply;
  bop_entry entry;
  memset(&reply, 0, sizeof reply);
  reply.size = sizeof reply;
  memset(&entry, 0, sizeof entry);
  entry.size = sizeof entry;
  entry.index = bank_machine()->applied(bank).index + 1;
  entry.term = 1;
  entry.command.data = (const uint8_t*)text;
  entry.command.size = strlen(text);
  if (bank_machine()->apply(bank, &entry, 1, &reply, 0) != BOP_OK || reply.status != BOP_OK)
    die(text, reply.status, "");
}

static void fill(bop_machine* bank, char first, char last) {
  char text[64];
  char name;
  for (name = first; name <= last; ++name) {
    snprintf(text, sizeof text, "open %c", name);
    apply(bank, text);
    snprintf(text, sizeof text, "open %cc", name);
    apply(bank, text);
    snprintf(text, sizeof text, "deposit %c %d", name, 10 + name);
    apply(bank, text);
    snprintf(text, sizeof text, "transfer %c %cc %d", name, name, 5);
    apply(bank, text);
  }
}

static int self_test(void) {
  const bop_machine_table* table = bank_machine();
  bop_machine_host host;
  bop_snapshot_options options;
  bop_restore_options restore;
  bop_state_hash before, after;
  bop_machine* restored;
  bop_part part;
  int32_t status;
  int parts = 0;
  memset(&host, 0, sizeof host);
  host.size = sizeof host;
  host.snapshot_point = note_point;
  taken = open_bank(&host);
  fill(taken, 'a', 'm');
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.handle = 1;
  options.part_bytes = 1 << 20;
  status = table->snapshot_begin(taken, &options, 1);
  if (status != BOP_OK) die("snapshot_begin", status, "");
  table->state_hash(taken, &before);

  restored = open_bank(&host);
  memset(&restore, 0, sizeof restore);
  restore.size = sizeof restore;
  restore.kind = table->kind;
  restore.version = table->version;
  status = table->restore_begin(restored, &restore, 2);
  for (; status == BOP_OK; ++parts) {
    memset(&part, 0, sizeof part);
    part.size = sizeof part;
    status = table->snapshot_next(taken, 1, &part, 3);
    if (status != BOP_OK || part.kind == BOP_PART_END) break;
    status = table->restore_part(restored, &part, 4);
    /* What is changed meanwhile is not in the snapshot. */
    if (parts == 2) fill(taken, 'n', 'z');
  }
  if (status == BOP_OK) status = table->restore_end(restored, point, 5);
  if (status != BOP_OK) die("restore", status, "");
  table->snapshot_end(taken, 1);
  table->state_hash(restored, &after);
  if (before.index != after.index || before.low != after.low || before.high != after.high)
    die("self-test", BOP_E_INTERNAL, "the restored bank has another state");
  table->close(restored);
  table->close(taken);
  printf("a snapshot at entry %llu, of %d parts, was restored\n", (unsigned long long)point.index,
         parts);
  return 0;
}

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "self-test") == 0) return self_test();
  if (argc != 4) {
    fprintf(stderr, "usage: bank NODE DIRECTORY FIRST_PORT, or bank self-test\n");
    return 2;
  }
  return run(atoi(argv[1]), argv[2], atoi(argv[3]));
}
