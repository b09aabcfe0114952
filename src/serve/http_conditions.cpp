#include "serve/http_conditions.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "net/http_syntax.h"
#include "serve/url.h"

namespace bop::serve {

namespace {

constexpr std::string_view weak_prefix = "W/";

// opaque-tag of RFC 9110 section 8.8.3: any visible characters but quotes, in quotes.
bool is_opaque_tag(std::string_view tag) {
  if (tag.size() < 2 || tag.front() != '"' || tag.back() != '"') return false;
  return std::ranges::all_of(tag.substr(1, tag.size() - 2), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte != 0x7f && c != '"';
  });
}

// The revision whose tag this is; nothing for a tag that no record has. Tags are compared as they are
// written: "07" is not "7".
std::optional<uint64_t> revision_of(std::string_view digits) {
  const auto number = parse_number(digits);
  return number && std::to_string(*number) == digits ? number : std::nullopt;
}

}  // namespace

Result<HttpConditions::Field> HttpConditions::parse_field(std::string_view name,
                                                          std::string_view value, bool weak) {
  Field field;
  if (value.empty()) return field;
  field.given = true;
  if (value == "*") {
    field.any = true;
    return field;
  }
  const auto refused = [&] {
    return fail(BOP_E_INVALID_ARGUMENT,
                fmt::format("{} must be * or a list of entity tags such as \"7\"", name));
  };
  bool empty = true;
  while (const auto element = net::next_http_element(value)) {
    empty = false;
    const bool is_weak = element->starts_with(weak_prefix);
    const std::string_view tag = is_weak ? element->substr(weak_prefix.size()) : *element;
    const bool is_tag = is_opaque_tag(tag);
    if (!is_tag && (is_weak || !parse_number(tag))) return refused();
    const auto revision = revision_of(is_tag ? tag.substr(1, tag.size() - 2) : tag);
    if (revision && (weak || !is_weak)) field.revisions.push_back(*revision);
  }
  if (empty) return refused();
  return field;
}

Result<HttpConditions> HttpConditions::parse(std::string_view if_match,
                                             std::string_view if_none_match) {
  HttpConditions conditions;
  BOP_TRY_ASSIGN(conditions.match_, parse_field("If-Match", if_match, false));
  BOP_TRY_ASSIGN(conditions.none_match_, parse_field("If-None-Match", if_none_match, true));
  return conditions;
}

bool HttpConditions::match_holds(const proto::KvItem& item) const {
  if (!match_.given) return true;
  if (match_.any) return item.present;
  return std::ranges::count(match_.revisions, item.present ? item.revision : 0) > 0;
}

bool HttpConditions::none_match_holds(const proto::KvItem& item) const {
  if (!none_match_.given || !item.present) return true;
  return !none_match_.any && std::ranges::count(none_match_.revisions, item.revision) == 0;
}

bool HttpConditions::add_to(proto::KvOperation& operation) const {
  const bool match_fits = !match_.given || match_.any || match_.revisions.size() == 1;
  const bool none_match_fits =
      !none_match_.given || none_match_.any || none_match_.revisions.empty();
  if (!match_fits || !none_match_fits) return false;
  if (match_.any) operation.flags |= BOP_KV_IF_PRESENT;
  if (!match_.revisions.empty()) {
    operation.flags |= BOP_KV_IF_REVISION;
    operation.revision = match_.revisions.front();
  }
  if (none_match_.any) operation.flags |= BOP_KV_IF_ABSENT;
  return true;
}

}  // namespace bop::serve
