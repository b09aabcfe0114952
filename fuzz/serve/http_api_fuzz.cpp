// Requests to the HTTP API over a model of kv: each is answered once, with a status of HTTP, header
// fields without line ends, and JSON where the content type says so.
//
// The input is text, requests one after the other, each ending with a NUL or with the input:
//   METHOD TARGET [HOST [ORIGIN]] \n If-Match \n If-None-Match \n body
#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/assert.h"
#include "harness.h"
#include "serve/http_api.h"

namespace {

using namespace bop;
using namespace bop::serve;

class Check final : public ApiReply {
 public:
  explicit Check(size_t& answers) : answers_(answers) {}

  void respond(ApiResponse response) override {
    ++answers_;
    BOP_ASSERT(response.status >= 200 && response.status < 600);
    for (const auto& [name, value] : response.headers) {
      BOP_ASSERT(!name.empty() && name.find_first_of("\r\n: ") == std::string::npos);
      BOP_ASSERT(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
    }
    if (response.content_type.starts_with("application/json")) {
      BOP_ASSERT(nlohmann::json::accept(as_text(response.body.bytes())));
    }
    if (response.status == 204 || response.status == 304) BOP_ASSERT(response.body.empty());
  }

 private:
  size_t& answers_;
};

std::string_view cut(std::string_view& text, char at) {
  const std::string_view front = text.substr(0, text.find(at));
  text.remove_prefix(std::min(text.size(), front.size() + 1));
  return front;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Options options;
  options.max_http_requests = 4;
  Harness harness(options);
  HttpApi api(harness.connections);
  Reader in({data, size});
  const uint8_t choice = in.u8();
  if ((choice & 1) != 0) harness.service.refuse_with = BOP_E_OUTCOME_UNKNOWN;
  if ((choice & 2) != 0) harness.service.node_status.groups.emplace_back();  // not ready
  if ((choice & 8) != 0) harness.service.machine = "other";
  if ((choice & 16) != 0) harness.options.http_hosts = {"0.0.0.0", {"b", "::1"}};
  std::string_view rest = as_text(in.rest());
  size_t requests = 0;
  size_t answers = 0;
  while (!rest.empty() && requests < 16) {
    std::string_view text = cut(rest, '\0');
    std::string_view line = cut(text, '\n');
    ApiRequest request;
    request.method = cut(line, ' ');
    request.target = cut(line, ' ');
    request.host = cut(line, ' ');
    request.origin = line;
    request.if_match = cut(text, '\n');
    request.if_none_match = cut(text, '\n');
    request.body = mem::Buffer::copy(as_bytes(text));
    api.serve(request, std::make_unique<Check>(answers));
    ++requests;
    if ((choice & 4) == 0) harness.settle();
  }
  harness.settle();
  BOP_ASSERT_EQ(answers, requests);
  return 0;
}
