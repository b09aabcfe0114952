#include "machine/kv/mdbx_pages.h"

#include <algorithm>

#include "machine/kv/record.h"

namespace bop::machine::kv::mdbx {

namespace {

// "MDBX" as libmdbx writes it, over the version of its format.
constexpr uint64_t magic = uint64_t{0x59659DBDEF4C11} << 8 | 3;
constexpr size_t tree_bytes = 48;
constexpr size_t meta_bytes = 176 + 8;  // up to the second transaction number
constexpr uint16_t spilled = 0x2000;    // was written early in its transaction

enum NodeFlags : uint8_t { large_value = 1, holds_tree = 2 };

Tree tree_at(const uint8_t* bytes) {
  Tree tree;
  tree.height = load_le<uint16_t>(bytes + 2);
  tree.root = load_le<uint32_t>(bytes + 8);
  tree.branch_pages = load_le<uint32_t>(bytes + 12);
  tree.leaf_pages = load_le<uint32_t>(bytes + 16);
  tree.large_pages = load_le<uint32_t>(bytes + 20);
  tree.items = load_le<uint64_t>(bytes + 32);
  return tree;
}

size_t even(size_t bytes) { return bytes + (bytes & 1); }

}  // namespace

std::optional<Meta> parse_meta(Bytes page) {
  if (page.size() < page_header_bytes + meta_bytes) return {};
  const uint8_t* at = page.data() + page_header_bytes;
  Meta meta;
  meta.transaction = load_le<uint64_t>(at + 8);
  if (load_le<uint64_t>(at) != magic || load_le<uint64_t>(at + 176) != meta.transaction) return {};
  meta.end = load_le<uint32_t>(at + 36);
  meta.gc = tree_at(at + 40);
  meta.main = tree_at(at + 88);
  for (Tree* tree : {&meta.gc, &meta.main})
    if (tree->height == 0) tree->root = 0;
  return meta;
}

std::optional<Tree> parse_tree(Bytes value) {
  if (value.size() != tree_bytes) return {};
  return tree_at(value.data());
}

Node Page::node(size_t index) const {
  const uint8_t* at = bytes_.data() + node_offset(index);
  const auto number = load_le<uint32_t>(at);
  const uint8_t flags = at[4];
  Node node;
  node.key = {at + node_header_bytes, load_le<uint16_t>(at + 6)};
  const uint8_t* value = at + node_header_bytes + node.key.size();
  if ((bytes_[10] & static_cast<uint8_t>(PageKind::branch)) != 0) {
    node.child = number;
    return node;
  }
  node.value_bytes = number;
  node.tree = (flags & holds_tree) != 0;
  if ((flags & large_value) != 0)
    node.large = load_le<uint32_t>(value);
  else
    node.value = {value, number};
  return node;
}

std::string_view Page::check(PageKind kind, uint64_t transaction, bool sorted) const {
  if (const auto wrong = check_header(kind, transaction); !wrong.empty()) return wrong;
  if (kind == PageKind::large)
    return large_pages() == 0 ? "a large value without pages" : std::string_view();
  const bool branch = kind == PageKind::branch;
  if (const auto wrong = check_nodes(branch); !wrong.empty()) return wrong;
  // The first key of a branch is empty: everything below the second belongs there.
  for (size_t i = branch ? 2 : 1; sorted && i < size(); ++i)
    if (compare_keys(node(i - 1).key, node(i).key) >= 0) return "keys are out of order";
  return {};
}

std::string_view Page::check_header(PageKind kind, uint64_t transaction) const {
  const uint8_t* at = bytes_.data();
  if (load_le<uint64_t>(at) > transaction) return "it belongs to a later transaction";
  if ((load_le<uint16_t>(at + 10) & ~spilled) != static_cast<uint16_t>(kind))
    return "it is a page of another kind";
  if (load_le<uint32_t>(at + 16) != number_) return "it has another page's number";
  return {};
}

std::string_view Page::check_nodes(bool branch) const {
  const size_t space = bytes_.size() - page_header_bytes;
  const auto lower = load_le<uint16_t>(bytes_.data() + 12);
  const auto upper = load_le<uint16_t>(bytes_.data() + 14);
  if (lower % 2 != 0 || upper % 2 != 0 || lower > upper || upper > space || lower == 0 ||
      (branch && lower < 4))
    return "its bounds are invalid";
  size_t used = 0;
  size_t first = space;
  for (size_t i = 0; i < size(); ++i) {
    const size_t offset = node_offset(i) - page_header_bytes;
    if (offset % 2 != 0 || offset < upper || offset + node_header_bytes > space)
      return "a node is outside the page";
    const uint8_t* at = bytes_.data() + page_header_bytes + offset;
    const size_t key = load_le<uint16_t>(at + 6);
    size_t bytes = node_header_bytes + key;
    if (branch) {
      if (at[4] != 0) return "a branch has a node with flags";
      if (i == 0 && key != 0) return "the first node of a branch has a key";
    } else if ((at[4] & large_value) != 0) {
      if (at[4] != large_value) return "a node has unknown flags";
      bytes += sizeof(PageNumber);
    } else {
      if ((at[4] & ~holds_tree) != 0) return "a node has unknown flags";
      bytes += load_le<uint32_t>(at);
    }
    if (bytes > space - offset) return "a node reaches past the page";
    used += even(bytes);
    first = std::min(first, offset);
  }
  // With free space in another place than between lower and upper, libmdbx would overwrite nodes.
  if (first != upper || used != space - upper) return "its nodes do not fill its end";
  return {};
}

}  // namespace bop::machine::kv::mdbx
