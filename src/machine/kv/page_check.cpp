#include "machine/kv/page_check.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>
#include <vector>

#include "bop/kv.h"
#include "machine/kv/mdbx_pages.h"
#include "machine/kv/seeded_bugs.h"
#include "machine/kv/stored_record.h"
#include "mem/page_cache.h"

namespace bop::machine::kv {

namespace {

using mdbx::Meta;
using mdbx::Node;
using mdbx::Page;
using mdbx::PageKind;
using mdbx::PageNumber;
using mdbx::Tree;

constexpr size_t run_bytes = 1 << 20;   // of one read, unless one value is larger
constexpr size_t gap_bytes = 32 << 10;  // pages not in use that are read along rather than skipped
constexpr uint64_t ahead_bytes = 4 << 20;     // requested from the kernel beyond the current read
constexpr size_t step_bytes = 64 << 20;       // of a step(), which delays the node's stop
constexpr size_t max_large_values = 1 << 20;  // that wait to be read in the order of the file

struct Extent {
  PageNumber first = 0;
  uint32_t pages = 0;
};

// A large value that a leaf named, and which is still to be read.
struct LargeValue {
  PageNumber page = 0;
  uint32_t bytes = 0;
  uint64_t key_hash = 0;
};

class PageSet {
 public:
  explicit PageSet(size_t pages = 0) : bits_((pages + 63) / 64) {}
  // False: it was in the set.
  bool add(PageNumber page) {
    uint64_t& word = bits_[page / 64];
    const uint64_t bit = uint64_t{1} << page % 64;
    return (std::exchange(word, word | bit) & bit) == 0;
  }
  // The first page of the set at or after `page`, if there is one before `end`.
  PageNumber next(PageNumber page, PageNumber end) const {
    while (page < end) {
      const uint64_t rest = bits_[page / 64] >> page % 64;
      if (rest != 0) return std::min(end, page + static_cast<PageNumber>(std::countr_zero(rest)));
      page = (page / 64 + 1) * 64;
    }
    return end;
  }

 private:
  std::vector<uint64_t> bits_;
};

class PageCheck final : public StoreCheck {
 public:
  explicit PageCheck(PagesToCheck pages) : pages_(std::move(pages)) {}

  Result<bool> step() override {
    switch (stage_) {
      case Stage::roots: BOP_TRY(find_roots()); break;
      case Stage::branches: BOP_TRY(read_branches()); break;
      case Stage::leaves: BOP_TRY(read_leaves()); break;
      case Stage::values: BOP_TRY(read_values()); break;
      case Stage::free: BOP_TRY(check_free_pages()); break;
      case Stage::done: break;
    }
    return stage_ == Stage::done;
  }

  uint64_t done_bytes() const override { return marked_ * pages_.page_bytes; }
  uint64_t total_bytes() const override { return total_pages_ * pages_.page_bytes; }

 private:
  enum class Stage : uint8_t { roots, branches, leaves, values, free, done };

  // ---- errors ----

  uint64_t offset_of(PageNumber page) const { return uint64_t{page} * pages_.page_bytes; }
  std::unexpected<Error> damaged(std::string_view what) const {
    return fail(BOP_E_DAMAGED, pages_.path + ": " + std::string(what));
  }
  std::unexpected<Error> damaged(PageNumber page, std::string_view what) const {
    return fail(BOP_E_DAMAGED, pages_.path + " at " + std::to_string(offset_of(page)) + ": page " +
                                   std::to_string(page) + ": " + std::string(what));
  }
  std::unexpected<Error> unreadable(PageNumber page, int error) const {
    return damaged(page, error == mem::file_ends
                             ? std::string("the file ends before it")
                             : std::string("cannot be read: ") + std::strerror(error));
  }

  // ---- reading ----

  // Visits the pages of each extent. Extents are sorted.
  Status read(std::span<const Extent> extents,
              const std::function<Status(size_t index, Bytes pages)>& visit) {
    struct Run {
      size_t first, count;  // of extents
      PageNumber page;
      size_t bytes;
    };
    std::vector<Run> runs;
    for (size_t i = 0; i < extents.size(); ++i) {
      const Extent& extent = extents[i];
      if (!runs.empty()) {
        Run& last = runs.back();
        const uint64_t gap = offset_of(extent.first) - offset_of(last.page) - last.bytes;
        const uint64_t whole = last.bytes + gap + extent.pages * pages_.page_bytes;
        if (gap <= gap_bytes && whole <= run_bytes) {
          last.bytes = whole;
          ++last.count;
          continue;
        }
      }
      runs.push_back({i, 1, extent.first, extent.pages * pages_.page_bytes});
    }
    size_t requested = 0;  // runs that the kernel was told of
    uint64_t ahead = 0;    // bytes of those that are not read yet
    for (size_t i = 0; i < runs.size(); ++i) {
      const Run& run = runs[i];
      for (; requested < runs.size() && (requested <= i || ahead < ahead_bytes); ++requested) {
        mem::read_ahead(pages_.file, offset_of(runs[requested].page), runs[requested].bytes);
        ahead += runs[requested].bytes;
      }
      buffer_.resize(std::max(buffer_.size(), run.bytes));
      BOP_TRY(read_run(run.page, std::span(buffer_).first(run.bytes)));
      ahead -= run.bytes;
      for (size_t each = run.first; each < run.first + run.count; ++each) {
        const Extent& extent = extents[each];
        const size_t at = offset_of(extent.first) - offset_of(run.page);
        BOP_TRY(visit(each, Bytes(buffer_).subspan(at, extent.pages * pages_.page_bytes)));
      }
    }
    return {};
  }

  Status read_run(PageNumber page, std::span<uint8_t> out) const {
    const int error = mem::read_fully(pages_.file, offset_of(page), out);
    if (error == 0) return {};
    // Which page was it?
    while (!out.empty()) {
      const int one = mem::read_fully(pages_.file, offset_of(page), out.first(pages_.page_bytes));
      if (one != 0) return unreadable(page, one);
      out = out.subspan(pages_.page_bytes);
      ++page;
    }
    return unreadable(page, error);
  }

  Result<std::vector<uint8_t>> read_pages(PageNumber page, uint64_t count) const {
    std::vector<uint8_t> out(count * pages_.page_bytes);
    BOP_TRY(read_run(page, out));
    return out;
  }

  // Counts pages as used by `user`, a page.
  Status mark(PageNumber user, PageNumber first, uint64_t count) {
    if (first < mdbx::meta_pages || first + count > meta_.end)
      return damaged(user, "it refers to a page outside the file");
    for (uint64_t i = 0; i < count; ++i)
      if (!used_.add(first + static_cast<PageNumber>(i)))
        return damaged(user, "it refers to a page that is used twice");
    marked_ += count;
    return {};
  }

  Status check(const Page& page, PageKind kind, bool sorted) const {
    const std::string_view wrong = page.check(kind, meta_.transaction, sorted);
    if (wrong.empty()) return {};
    return damaged(page.number(), wrong);
  }

  // ---- small trees ----

  struct Counts {
    uint64_t branches = 0, leaves = 0, large = 0, items = 0;
    bool match(const Tree& tree) const {
      return branches == tree.branch_pages && leaves == tree.leaf_pages &&
             large == tree.large_pages && items == tree.items;
    }
  };

  // Visits the nodes of a tree's leaves.
  Status walk(const Tree& tree, bool sorted, const std::function<Status(const Node&)>& visit) {
    Counts counts;
    std::vector<PageNumber> level;
    if (tree.height > 0) {
      BOP_TRY(mark(0, tree.root, 1));
      level.push_back(tree.root);
    }
    for (unsigned height = tree.height; height > 0; --height) {
      std::vector<PageNumber> below;
      for (const PageNumber number : level) {
        BOP_TRY_ASSIGN(const auto bytes, read_pages(number, 1));
        const Page page(bytes, number);
        BOP_TRY(check(page, height > 1 ? PageKind::branch : PageKind::leaf, sorted));
        ++(height > 1 ? counts.branches : counts.leaves);
        for (size_t i = 0; i < page.size(); ++i) {
          Node node = page.node(i);
          if (height > 1) {
            BOP_TRY(mark(number, node.child, 1));
            below.push_back(node.child);
            continue;
          }
          ++counts.items;
          std::vector<uint8_t> large;
          if (node.large != 0) {
            BOP_TRY_ASSIGN(large, read_large(number, node));
            counts.large += large.size() / pages_.page_bytes;
            node.value = Bytes(large).subspan(mdbx::page_header_bytes, node.value_bytes);
          }
          BOP_TRY(visit(node));
        }
      }
      level = std::move(below);
    }
    if (!counts.match(tree)) return damaged("a tree has another size than its root says");
    return {};
  }

  Result<std::vector<uint8_t>> read_large(PageNumber user, const Node& node) {
    const uint64_t count = mdbx::large_pages_of(node.value_bytes, pages_.page_bytes);
    BOP_TRY(mark(user, node.large, count));
    BOP_TRY_ASSIGN(auto bytes, read_pages(node.large, count));
    BOP_TRY(check_large(node.large, bytes, count));
    return bytes;
  }
  Status check_large(PageNumber number, Bytes bytes, uint64_t count) const {
    const Page page(bytes, number);
    BOP_TRY(check(page, PageKind::large, false));
    if (page.large_pages() != count)
      return damaged(number, "it has another number of pages than its value needs");
    return {};
  }

  // ---- roots ----

  Status find_roots() {
    BOP_TRY_ASSIGN(const auto first, read_pages(0, mdbx::meta_pages));
    bool found = false;
    for (size_t i = 0; i < mdbx::meta_pages; ++i) {
      const auto meta =
          mdbx::parse_meta(Bytes(first).subspan(i * pages_.page_bytes, pages_.page_bytes));
      if (!meta || meta->transaction != pages_.transaction) continue;
      meta_ = *meta;
      found = true;
    }
    if (!found) return damaged("none of its meta pages has the state that was opened");
    if (meta_.end <= mdbx::meta_pages) return damaged("its state has no pages");
    // The bound of all that follows, of memory too.
    BOP_TRY_ASSIGN(const auto last, read_pages(meta_.end - 1, 1));
    used_ = PageSet(meta_.end);
    leaves_ = PageSet(meta_.end);
    BOP_TRY(walk(meta_.main, true, [this](const Node& node) { return take_tree(node); }));
    BOP_TRY(walk(other_, true, [](const Node&) -> Status { return {}; }));
    total_pages_ = marked_ + meta_.gc.pages() + records_.pages();
    if (records_.height == 0) return enter(Stage::values);
    BOP_TRY(mark(0, records_.root, 1));
    height_ = records_.height;
    if (height_ == 1) {
      leaves_.add(records_.root);
      return enter(Stage::leaves);
    }
    level_.push_back(records_.root);
    return enter(Stage::branches);
  }

  Status take_tree(const Node& node) {
    const auto tree = mdbx::parse_tree(node.value);
    if (!node.tree || !tree) return damaged("its list of tables has another entry");
    const std::string_view name = as_text(node.key);
    if (name == "records")
      records_ = *tree;
    else if (name == "meta")
      other_ = *tree;
    else
      return damaged("its list of tables has another entry");
    return {};
  }

  // ---- records ----

  // A part of the level of branches at height_, and with its last part goes one level down.
  Status read_branches() {
    std::ranges::sort(level_);
    std::vector<Extent> extents;
    const size_t end = std::min(level_.size(), level_done_ + step_bytes / pages_.page_bytes);
    for (size_t i = level_done_; i < end; ++i) extents.push_back({level_[i], 1});
    BOP_TRY(read(extents, [&](size_t index, Bytes bytes) -> Status {
      const Page page(bytes, extents[index].first);
      BOP_TRY(check(page, PageKind::branch, true));
      ++counts_.branches;
      for (size_t i = 0; i < page.size(); ++i) {
        const PageNumber child = page.node(i).child;
        BOP_TRY(mark(page.number(), child, 1));
        if (height_ > 2)
          below_.push_back(child);
        else
          leaves_.add(child);
      }
      return {};
    }));
    level_done_ = end;
    if (level_done_ < level_.size()) return {};
    level_ = std::exchange(below_, {});
    level_done_ = 0;
    if (--height_ == 1) return enter(Stage::leaves);
    return {};
  }

  Status read_leaves() {
    std::vector<Extent> extents;
    while (extents.size() < step_bytes / pages_.page_bytes) {
      next_leaf_ = leaves_.next(next_leaf_, meta_.end);
      if (next_leaf_ == meta_.end) break;
      extents.push_back({next_leaf_++, 1});
    }
    BOP_TRY(read(extents, [&](size_t index, Bytes bytes) {
      return check_leaf(Page(bytes, extents[index].first));
    }));
    leaves_are_read_ = leaves_.next(next_leaf_, meta_.end) == meta_.end;
    if (leaves_are_read_ || large_.size() >= max_large_values) {
      std::ranges::sort(large_, {}, &LargeValue::page);
      return enter(Stage::values);
    }
    return {};
  }

  Status check_leaf(const Page& page) {
    BOP_TRY(check(page, PageKind::leaf, true));
    ++counts_.leaves;
    for (size_t i = 0; i < page.size(); ++i) {
      const Node node = page.node(i);
      if (node.tree || node.key.empty() || node.key.size() > BOP_KV_KEY_MAX ||
          node.value_bytes < stored_head_bytes || node.value_bytes > stored_max_bytes)
        return damaged(page.number(), "a record has an impossible size");
      ++counts_.items;
      if (node.large == 0) {
        BOP_TRY(count(page.number(), hash64(node.key), node.value));
        continue;
      }
      const uint64_t pages = mdbx::large_pages_of(node.value_bytes, pages_.page_bytes);
      BOP_TRY(mark(page.number(), node.large, pages));
      counts_.large += pages;
      large_.push_back({node.large, static_cast<uint32_t>(node.value_bytes), hash64(node.key)});
    }
    // Branches are sorted, so what holds for the first and the last key of a leaf holds for those between.
    BOP_TRY(check_lookup(page, 0));
    return check_lookup(page, page.size() - 1);
  }

  Status check_lookup(const Page& page, size_t index) const {
    const uint64_t offset = offset_of(page.number()) + page.key_offset(index);
    BOP_TRY_ASSIGN(const bool found, pages_.look_up(page.node(index).key, offset));
    if (found) return {};
    return damaged(page.number(), "a lookup of one of its keys leads to another page");
  }

  Status count(PageNumber page, uint64_t key_hash, Bytes value) {
    const auto stored = parse_stored(key_hash, value);
    if (!stored)
      return damaged(page,
                     "the record with key hash " + hex(key_hash) + " does not match its checksum");
    totals_ += totals_of(true, stored->hash);
    return {};
  }

  Status read_values() {
    std::vector<Extent> extents;
    size_t bytes = 0;
    size_t end = large_done_;
    for (; end < large_.size() && bytes < step_bytes; ++end) {
      const auto pages =
          static_cast<uint32_t>(mdbx::large_pages_of(large_[end].bytes, pages_.page_bytes));
      extents.push_back({large_[end].page, pages});
      bytes += pages * pages_.page_bytes;
    }
    BOP_TRY(read(extents, [&](size_t index, Bytes pages) -> Status {
      const LargeValue& value = large_[large_done_ + index];
      BOP_TRY(check_large(value.page, pages, extents[index].pages));
      return count(value.page, value.key_hash, pages.subspan(mdbx::page_header_bytes, value.bytes));
    }));
    large_done_ = end;
    if (large_done_ < large_.size()) return {};
    large_.clear();
    large_done_ = 0;
    if (!leaves_are_read_ && records_.height > 0) return enter(Stage::leaves);
    return check_totals();
  }

  Status check_totals() {
    if (!counts_.match(records_))
      return damaged("the tree of records has another size than its root says");
    if (totals_ != pages_.expected && !seeded(Bug::totals_not_compared))
      return damaged("its " + std::to_string(totals_.records) + " records are not the " +
                     std::to_string(pages_.expected.records) + " that it recorded");
    return enter(Stage::free);
  }

  // ---- free pages ----

  Status check_free_pages() {
    std::vector<PageNumber> free;
    BOP_TRY(walk(meta_.gc, false, [&](const Node& node) -> Status {
      // The number of pages and their numbers.
      const size_t listed = node.value.size() < 4 ? 0 : load_le<uint32_t>(node.value.data());
      if (node.value.size() < 4 || listed > node.value.size() / 4 - 1)
        return damaged("a list of free pages has an impossible size");
      for (size_t i = 1; i <= listed; ++i)
        free.push_back(load_le<uint32_t>(node.value.data() + 4 * i));
      return {};
    }));
    for (const PageNumber page : free)
      if (page < mdbx::meta_pages || page >= meta_.end || !used_.add(page))
        return damaged("its list of free pages has page " + std::to_string(page) +
                       ", which is not free");
    return enter(Stage::done);
  }

  Status enter(Stage stage) {
    stage_ = stage;
    return {};
  }

  const PagesToCheck pages_;
  Stage stage_ = Stage::roots;
  Meta meta_;
  Tree records_, other_;
  PageSet used_;              // by any tree
  uint64_t marked_ = 0;       // number of those
  uint64_t total_pages_ = 0;  // that will be marked, if all is well
  std::vector<uint8_t> buffer_;

  Counts counts_;  // of the tree of records
  Totals totals_;
  unsigned height_ = 0;  // of level_
  std::vector<PageNumber> level_, below_;
  size_t level_done_ = 0;
  PageSet leaves_;
  PageNumber next_leaf_ = 0;
  bool leaves_are_read_ = false;
  std::vector<LargeValue> large_;
  size_t large_done_ = 0;
};

}  // namespace

std::unique_ptr<StoreCheck> check_pages(PagesToCheck pages) {
  return std::make_unique<PageCheck>(std::move(pages));
}

}  // namespace bop::machine::kv
