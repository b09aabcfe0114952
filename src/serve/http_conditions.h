// If-Match and If-None-Match (RFC 9110 section 13.1). A record's entity tag is its revision in quotes.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "proto/kv.h"

namespace bop::serve {

class HttpConditions {
 public:
  // The values of the fields, several of one name joined by commas; empty: none.
  // INVALID_ARGUMENT, naming the field, if it is neither * nor a list of entity tags. A revision without quotes, as in
  // X-Bop-Revision, is accepted too.
  static Result<HttpConditions> parse(std::string_view if_match, std::string_view if_none_match);

  // Whether If-Match holds for a record, or for its absence, whose revision is 0.
  bool match_holds(const proto::KvItem& item) const;
  // Whether If-None-Match holds; if not, a read gets 304 and a change 412.
  bool none_match_holds(const proto::KvItem& item) const;

  // Adds the conditions to a change, for kv to check when it applies it. False: kv has no such conditions; the record
  // has to be read first, and changed on the condition that it has the same revision.
  bool add_to(proto::KvOperation& operation) const;

 private:
  struct Field {
    bool given = false;
    bool any = false;                 // "*"
    std::vector<uint64_t> revisions;  // those of its tags that a record can have
  };

  // `weak`: weak tags match. If-Match compares strongly, so that none does (section 8.8.3.2).
  static Result<Field> parse_field(std::string_view name, std::string_view value, bool weak);

  Field match_, none_match_;
};

}  // namespace bop::serve
