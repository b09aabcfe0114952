#include "tools/quorum.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <vector>

#include "raft/change.h"
#include "raft/majority.h"

namespace bop::tools {

namespace {

using raft::Change;
using raft::Configuration;
using Ids = std::vector<NodeId>;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || c == '-'; }
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r'; }

// Reads a line from left to right. After an error nothing more is found.
class Scanner {
 public:
  explicit Scanner(std::string_view line) : line_(line) { skip(); }

  bool at_end() const { return at_ == line_.size(); }
  bool at_number() const { return !failed_ && !at_end() && is_digit(line_[at_]); }
  std::string_view peek_word() const {
    size_t end = at_;
    while (!failed_ && end < line_.size() && is_letter(line_[end])) ++end;
    return line_.substr(at_, end - at_);
  }
  bool take(std::string_view word) {
    if (peek_word() != word) return false;
    at_ += word.size();
    skip();
    return true;
  }
  bool take(char c) {
    if (failed_ || at_end() || line_[at_] != c) return false;
    ++at_;
    skip();
    return true;
  }
  uint64_t number() {
    uint64_t value = 0;
    const char* begin = line_.data() + at_;
    const auto [end, error] = std::from_chars(begin, line_.data() + line_.size(), value);
    if (failed_ || error != std::errc() || !is_digit(*begin)) return expected("a number"), 0;
    at_ += static_cast<size_t>(end - begin);
    skip();
    return value;
  }
  void expect(std::string_view word) {
    if (!take(word)) expected("\"" + std::string(word) + "\"");
  }
  void expect(char c) {
    if (!take(c)) expected(std::string("\"") + c + "\"");
  }
  void expect_end() {
    if (!at_end()) expected("the end of the line");
  }
  void expected(const std::string& what) {
    if (!failed_)
      error_ = "expected " + what + " at column " + std::to_string(at_ + 1) + " (\"" +
               std::string(line_.substr(at_, 20)) + "\")";
    failed_ = true;
  }
  const std::string& error() const { return error_; }  // empty: none

 private:
  void skip() {
    while (at_ < line_.size() && is_space(line_[at_])) ++at_;
  }

  std::string_view line_;
  size_t at_ = 0;
  bool failed_ = false;
  std::string error_;
};

Ids read_ids(Scanner& in) {
  Ids ids;
  const bool parentheses = in.take('(');
  while (in.at_number()) {
    ids.push_back(in.number());
    in.take(',');
  }
  if (parentheses) in.expect(')');
  std::ranges::sort(ids);
  const auto repeated = std::ranges::unique(ids);
  ids.erase(repeated.begin(), repeated.end());
  return ids;
}

Configuration read_voters(Scanner& in) {
  Configuration out;
  in.expect("voters");
  out.voters = read_ids(in);
  if (in.take("joint")) out.outgoing = read_ids(in);
  return out;
}

std::string committed(Scanner& in) {
  const Configuration configuration = read_voters(in);
  std::map<NodeId, Index> acks;
  if (in.take("acks")) {
    while (in.at_number()) {
      const NodeId node = in.number();
      in.expect('=');
      acks[node] = in.number();
      in.take(',');
    }
  }
  const Index index = raft::committed_index(configuration, [&acks](NodeId node) {
    const auto found = acks.find(node);
    return found == acks.end() ? Index{0} : found->second;
  });
  return index == raft::every_index ? "∞" : std::to_string(index);
}

std::string vote(Scanner& in) {
  const Configuration configuration = read_voters(in);
  Ids yes;
  Ids no;
  for (;;) {
    if (in.take("yes"))
      yes = read_ids(in);
    else if (in.take("no"))
      no = read_ids(in);
    else
      break;
  }
  const auto result = raft::count_votes(configuration, [&](NodeId node) {
    if (std::ranges::binary_search(yes, node)) return raft::Answer::yes;
    return std::ranges::binary_search(no, node) ? raft::Answer::no : raft::Answer::missing;
  });
  switch (result) {
    case raft::VoteResult::won: return "won";
    case raft::VoteResult::lost: return "lost";
    case raft::VoteResult::pending: return "pending";
  }
  return {};
}

bool read_op(Scanner& in, std::vector<Change>& changes) {
  const std::optional<Change::Kind> kind = raft::change_named(in.peek_word());
  if (!kind) return false;
  in.take(in.peek_word());
  changes.push_back({*kind, raft::names_a_node(*kind) ? in.number() : 0});
  return true;
}

std::string text_of(const Ids& ids) {
  std::string out = "(";
  for (const NodeId id : ids) out += (out.size() > 1 ? "," : "") + std::to_string(id);
  return out + ")";
}

std::string change(Scanner& in) {
  in.expect("from");
  Configuration from = read_voters(in);
  if (in.take("learners")) from.learners = read_ids(in);
  in.expect(':');
  std::vector<Change> changes;
  while (!in.at_end() && in.error().empty()) {
    if (!read_op(in, changes)) in.expected("a change");
    in.take(',');
  }
  if (!in.error().empty()) return {};
  const auto to = raft::changed(from, changes);
  if (!to) {
    const std::string name = bop_error_name(to.error().code);
    return "error " + name.substr(std::string("BOP_E_").size());
  }
  std::string out = "voters " + text_of(to->voters);
  if (to->joint()) out += " joint " + text_of(to->outgoing);
  return out + " learners " + text_of(to->learners);
}

}  // namespace

Result<std::string> quorum_line(std::string_view line) {
  Scanner in(line);
  std::string answer;
  if (in.take("committed"))
    answer = committed(in);
  else if (in.take("vote"))
    answer = vote(in);
  else if (in.take("change"))
    answer = change(in);
  else
    in.expected("committed, vote or change");
  in.expect_end();
  if (!in.error().empty()) return fail(BOP_E_INVALID_ARGUMENT, in.error());
  return answer;
}

}  // namespace bop::tools
