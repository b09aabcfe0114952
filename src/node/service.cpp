#include "node/service.h"

namespace bop::node {

Result<GroupId> Service::find_group_running(std::string_view machine, std::string_view name) const {
  BOP_TRY_ASSIGN(const GroupId group, find_group(name));
  const std::string_view running = machine_of(group);
  if (running == machine) return group;
  return fail(BOP_E_UNSUPPORTED, "group " + std::string(name) + " runs the machine " +
                                     std::string(running) + ", these are commands of " +
                                     std::string(machine));
}

}  // namespace bop::node
