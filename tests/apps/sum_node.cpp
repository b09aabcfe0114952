// A node that a program embeds, with a machine of its own: for what bop does with a machine other than kv.
//   sum_node CONFIG      formats the directory, serves until standard input ends
#include <cstdio>

#include "../capi/sum_machine.h"
#include "bop/config.h"
#include "bop/node.h"

int main(int count, char** arguments) {
  char error[1024] = "";
  bop_config* config = nullptr;
  if (count != 2 || bop_config_create(&config) != BOP_OK) return 2;
  const SumMachine machine;
  const bop_machine_table* const machines[] = {&machine};
  bop_node_options options{};
  options.size = sizeof options;
  options.machines = machines;
  options.machine_count = 1;
  bop_node* node = nullptr;
  int32_t status = bop_config_load_file(config, arguments[1], error, sizeof error);
  if (status == BOP_OK) status = bop_node_check(config, &options, error, sizeof error);
  if (status == BOP_OK) status = bop_node_format(config, error, sizeof error);
  if (status == BOP_OK) status = bop_node_start(config, &options, &node, error, sizeof error);
  bop_config_destroy(config);
  if (status != BOP_OK) {
    std::fprintf(stderr, "sum_node: %s\n", error);
    return 1;
  }
  std::puts("serves");
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  bop_node_stop(node, 3000);
  return 0;
}
