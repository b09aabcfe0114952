// Redis's glob patterns: * ? [abc] [^abc] [a-z] and \ to take a character as it is.
#pragma once

#include <string>
#include <string_view>

namespace bop::serve {

// Any pattern and text take at most about pattern × text steps.
bool glob_matches(std::string_view pattern, std::string_view text);

// What every match begins with.
std::string glob_prefix(std::string_view pattern);

}  // namespace bop::serve
