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
  // The values of the fields, several of one name joined by commas; empty: there is none.
  // INVALID_ARGUMENT, naming the field: it is neither * nor a list of entity tags. A revision without
  // quotes is taken too, as X-Bop-Revision gives it.
  static Result<HttpConditions> parse(std::string_view if_match, std::string_view if_none_match);

  // Whether If-Match holds for a record, or for its absence, whose revision is 0.
  bool match_holds(const proto::KvItem& item) const;
  // Whether If-None-Match does: false is 304 for a read and 412 for a change.
  bool none_match_holds(const proto::KvItem& item) const;

  // Adds the conditions to a change, which kv then checks where it applies it. False: kv's conditions
  // cannot say it. Then the record has to be read first, and changed only if it is still as it was.
  bool add_to(proto::KvOperation& operation) const;

 private:
  struct Field {
    bool given = false;
    bool any = false;                 // "*"
    std::vector<uint64_t> revisions;  // those of its tags that a record can have
  };

  // `weak`: weak tags count. If-Match compares strongly, so that none matches (section 8.8.3.2).
  static Result<Field> parse_field(std::string_view name, std::string_view value, bool weak);

  Field match_, none_match_;
};

}  // namespace bop::serve
