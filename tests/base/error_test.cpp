#include "bop/error.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "base/result.h"

namespace bop {
namespace {

struct Listed {
  const char* name;
  int number;
  const char* text;
};

constexpr Listed list[] = {
#define BOP_LISTED(name, number, text) {"BOP_E_" #name, number, text},
    BOP_ERROR_MAP(BOP_LISTED)
#undef BOP_LISTED
};

std::string errors_page() {
  std::string page =
      "# Errors\n\n"
      "Generated from the list in `include/bop/error.h` by `tests/base/error_test.cpp`, which "
      "fails if this page is out of\n"
      "date, and updates it if `BOP_WRITE_DOCS` is set.\n\n"
      "Every function of the C interface that can fail returns `BOP_OK` (0) or one of these. "
      "Numbers are never reused.\n"
      "`BOP_E_OUTCOME_UNKNOWN` is the only error after which a command may have been executed.\n\n"
      "| error | number | meaning |\n|---|---|---|\n";
  for (const Listed& error : list) {
    page += "| `" + std::string(error.name) + "` | " + std::to_string(error.number) + " | " +
            error.text + " |\n";
  }
  return page;
}

TEST(Errors, are_all_negative_and_no_number_is_used_twice) {
  std::set<int> numbers;
  for (const Listed& error : list) {
    EXPECT_LT(error.number, 0) << error.name;
    EXPECT_TRUE(numbers.insert(error.number).second) << error.name;
  }
}

TEST(Errors, have_the_name_and_the_text_of_the_list) {
  for (const Listed& error : list) {
    EXPECT_STREQ(bop_error_name(error.number), error.name);
    EXPECT_STREQ(bop_error_text(error.number), error.text);
  }
}

TEST(Errors, name_success_and_pending_too) {
  EXPECT_STREQ(bop_error_name(BOP_OK), "BOP_OK");
  EXPECT_STREQ(bop_error_name(BOP_PENDING), "BOP_PENDING");
}

TEST(Errors, of_another_version_have_a_name_and_a_text) {
  EXPECT_STREQ(bop_error_name(-12345), "BOP_E_?");
  EXPECT_STREQ(bop_error_text(-12345), "unknown error, perhaps of another version of bop");
}

TEST(Errors, page_in_docs_is_current) {
  if (std::getenv("BOP_WRITE_DOCS") != nullptr) std::ofstream(BOP_ERRORS_PAGE) << errors_page();
  std::ifstream file(BOP_ERRORS_PAGE);
  std::stringstream page;
  page << file.rdbuf();
  EXPECT_EQ(page.str(), errors_page()) << "run this test with BOP_WRITE_DOCS=1";
}

TEST(AnError, shows_its_detail_or_else_the_text_of_the_list) {
  EXPECT_EQ((Error{BOP_E_IO, "write of node.wal: no space"}).to_string(),
            "BOP_E_IO: write of node.wal: no space");
  EXPECT_EQ((Error{BOP_E_STOPPED, ""}).to_string(), "BOP_E_STOPPED: the node or handle is stopped");
}

Result<int> half(int number) {
  if (number % 2 != 0) return fail(BOP_E_INVALID_ARGUMENT, std::to_string(number) + " is odd");
  return number / 2;
}

Result<int> quarter(int number) {
  BOP_TRY_ASSIGN(const int halved, half(number));
  BOP_TRY(half(halved));
  return half(halved);
}

TEST(AResult, passes_the_first_error_up) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(quarter(6).error().detail, "3 is odd");
  EXPECT_EQ(quarter(5).error().detail, "5 is odd");
}

}  // namespace
}  // namespace bop
