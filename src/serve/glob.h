// Redis's glob patterns: * ? [abc] [^abc] [a-z] and \ to take a character as it is.
#pragma once

#include <string>
#include <string_view>

namespace bop::serve {

// At most about pattern × text steps for any input.
bool glob_matches(std::string_view pattern, std::string_view text);

// The longest prefix that every match must have.
std::string glob_prefix(std::string_view pattern);

}  // namespace bop::serve
