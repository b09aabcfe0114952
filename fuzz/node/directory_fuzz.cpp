// The files that make a directory one node's: refused by name, or read, and then written the same.
// Some inputs get a true checksum, which no mutation finds.
#include "../files.h"
#include "base/assert.h"
#include "base/checksum.h"
#include "node/directory.h"
#include "node/incarnations.h"

namespace {

using namespace bop;
using namespace bop::node;

constexpr size_t format_bytes = 88;

void check_error(const Error& error) {
  BOP_ASSERT(error.code == BOP_E_DAMAGED || error.code == BOP_E_NEWER_FORMAT ||
             error.code == BOP_E_OLDER_FORMAT);
  BOP_ASSERT(!error.detail.empty());
}

void check_format(fuzz::MemoryFiles& files) {
  auto identity = read_identity(files);
  if (!identity) return check_error(identity.error());
  BOP_ASSERT(files.files.at("format").size() == format_bytes);
  BOP_ASSERT(mark_served(files, *identity) && identity->served);
  BOP_ASSERT(read_identity(files).value() == *identity);
  Identity fresh;
  fresh.node = 1;
  BOP_ASSERT(format_directory(files, fresh).error().code == BOP_E_ALREADY_FORMATTED);
}

void check_peers(fuzz::MemoryFiles& files) {
  const auto loaded = Incarnations::load(files);
  if (!loaded) return check_error(loaded.error());
  BOP_ASSERT(!loaded->changed() && loaded->save(files));
  const auto bytes = files.files.at("peers");
  BOP_ASSERT(Incarnations::load(files).value().save(files) && files.files.at("peers") == bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Reader in({data, size});
  const uint8_t choice = in.u8();
  const Bytes rest = in.rest();
  std::vector<uint8_t> bytes(rest.begin(), rest.end());
  if ((choice & 2) != 0 && bytes.size() >= 4) {
    store_le<uint32_t>(bytes.data() + bytes.size() - 4,
                       crc32c(Bytes(bytes).first(bytes.size() - 4)));
  }
  fuzz::MemoryFiles files;
  files.files[(choice & 1) != 0 ? "peers" : "format"] = bytes;
  if ((choice & 1) != 0) {
    check_peers(files);
  } else {
    check_format(files);
  }
  return 0;
}
