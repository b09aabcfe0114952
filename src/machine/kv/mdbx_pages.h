// The pages of a libmdbx file, as far as their verification reads them: format 3 of libmdbx 0.11 to 0.14. libmdbx has
// no function that visits pages in the order of the file, the only order that reads a store at the speed of a disk.
//
//   meta page (0 to 2) ──► tree "main" ──► a named tree each: "records", "meta"
//                     └──► tree "gc": lists of free pages
//
//   page   | 8 transaction | 2 | 2 flags | 2 lower | 2 upper | 4 number | lower/2 offsets of nodes | free | nodes |
//   large  | 8 transaction | 2 | 2 flags | 4 pages           | 4 number | a value, over this page and those after it |
//   node   | 4 child page, or size of the value | 1 flags | 1 | 2 size of the key | key | value, or 4: its large page |
//
// Offsets of nodes count from the end of the page's header. Nodes have even sizes and fill the end of the page.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace bop::machine::kv::mdbx {

using PageNumber = uint32_t;

inline constexpr PageNumber meta_pages = 3;
inline constexpr size_t page_header_bytes = 20;
inline constexpr size_t node_header_bytes = 8;

struct Tree {
  uint16_t height = 0;  // levels of pages; 0: empty, and there is no root
  PageNumber root = 0;
  uint32_t branch_pages = 0, leaf_pages = 0, large_pages = 0;
  uint64_t items = 0;
  uint64_t pages() const { return uint64_t{branch_pages} + leaf_pages + large_pages; }
};

struct Meta {
  uint64_t transaction = 0;
  PageNumber end = 0;  // no page at or after this one was ever used
  Tree gc, main;
};

// nullopt: not the meta page of a completed transaction in this format.
std::optional<Meta> parse_meta(Bytes page);
std::optional<Tree> parse_tree(Bytes value);

// How many pages a large value takes.
inline uint64_t large_pages_of(uint64_t value_bytes, size_t page_bytes) {
  return (page_header_bytes - 1 + value_bytes) / page_bytes + 1;
}

enum class PageKind : uint8_t { branch = 1, leaf = 2, large = 4 };

struct Node {
  Bytes key;
  PageNumber child = 0;      // of a branch
  Bytes value;               // of a leaf; empty if it is large
  bool tree = false;         // the value is a Tree
  PageNumber large = 0;      // first page of a large value; 0: it is in this page
  uint64_t value_bytes = 0;  // of a leaf
};

// One page of a tree. Its accessors are safe only after check() found nothing wrong.
class Page {
 public:
  Page(Bytes bytes, PageNumber number) : bytes_(bytes), number_(number) {}

  // What is wrong with the page; empty: nothing. `transaction` is that of the state it belongs to.
  // With `sorted`, its keys must ascend as strings of bytes do.
  std::string_view check(PageKind kind, uint64_t transaction, bool sorted) const;

  PageNumber number() const { return number_; }
  size_t size() const { return load_le<uint16_t>(bytes_.data() + 12) / 2; }
  Node node(size_t index) const;
  // Where the node's key is, from the beginning of the page.
  size_t key_offset(size_t index) const { return node_offset(index) + node_header_bytes; }

  // Of a large page.
  uint32_t large_pages() const { return load_le<uint32_t>(bytes_.data() + 12); }

 private:
  size_t node_offset(size_t index) const {
    return page_header_bytes + load_le<uint16_t>(bytes_.data() + page_header_bytes + 2 * index);
  }
  std::string_view check_header(PageKind kind, uint64_t transaction) const;
  std::string_view check_nodes(bool branch) const;

  const Bytes bytes_;
  const PageNumber number_;
};

}  // namespace bop::machine::kv::mdbx
