# Third-party libraries, each as a target bop::<name>. Their Debian packages are listed in
# packaging/debian-packages.txt, the crates in third_party/.

include(crates)

# bop_package(NAME target...): bop::NAME is the targets that a package's own CMake configuration defines.
function(bop_package name)
  add_library(bop::${name} INTERFACE IMPORTED GLOBAL)
  target_link_libraries(bop::${name} INTERFACE ${ARGN})
endfunction()

# bop_library(NAME HEADER header LIBRARY library): for a library without a CMake configuration.
function(bop_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "HEADER;LIBRARY" "")
  find_path(BOP_${name}_INCLUDE "${arg_HEADER}" REQUIRED)
  find_library(BOP_${name}_LIBRARY "${arg_LIBRARY}" REQUIRED)
  mark_as_advanced(BOP_${name}_INCLUDE BOP_${name}_LIBRARY)
  add_library(bop::${name} INTERFACE IMPORTED GLOBAL)
  target_include_directories(bop::${name} INTERFACE "${BOP_${name}_INCLUDE}")
  target_link_libraries(bop::${name} INTERFACE "${BOP_${name}_LIBRARY}")
endfunction()

# Sockets, files. Asio and Beast are compiled in one file each (boost/asio/impl/src.hpp in io,
# boost/beast/src.hpp in net); a module that links this target gets only the declarations.
find_package(Boost 1.81 REQUIRED)
bop_package(asio Boost::headers Threads::Threads)
target_compile_definitions(bop::asio INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED)
bop_library(uring HEADER liburing.h LIBRARY uring)

# Data and text. spdlog's target defines SPDLOG_FMT_EXTERNAL, so that a process has one fmt.
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(absl REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
bop_package(fmt fmt::fmt)
bop_package(spdlog spdlog::spdlog fmt::fmt)
bop_package(absl_btree absl::btree)
bop_package(json nlohmann_json::nlohmann_json)
# Header-only and without exceptions; Debian's shared library throws.
find_path(BOP_toml_INCLUDE toml++/toml.h REQUIRED)
mark_as_advanced(BOP_toml_INCLUDE)
add_library(bop::toml INTERFACE IMPORTED GLOBAL)
target_include_directories(bop::toml INTERFACE "${BOP_toml_INCLUDE}")
target_compile_definitions(bop::toml INTERFACE TOML_HEADER_ONLY=1 TOML_EXCEPTIONS=0)
bop_package(cli CLI11::CLI11)
bop_library(isal HEADER isa-l/crc.h LIBRARY isal)
bop_library(xxhash HEADER xxhash.h LIBRARY xxhash)

if(BOP_TESTS)
  find_package(GTest REQUIRED)
  bop_package(gtest GTest::gmock GTest::gtest_main)
endif()

# The crates. Packagers can set BOP_SYSTEM_MDBX=ON to link the distribution's library.
option(BOP_SYSTEM_MDBX "Link the system's libmdbx in place of the crate's" OFF)
option(BOP_HARDENED_ALLOCATOR "Let snmalloc check its clients, for some speed" OFF)

if(NOT BOP_SYSTEM_MDBX)
  # Without FALLOCATE: otherwise opening a file allocates all of its holes, and fails on a full disk.
  bop_crate(mdbx-sys BUILD DEFINITIONS MDBX_TXN_CHECKOWNER=0 MDBX_USE_FALLOCATE=0)
endif()
# Only the headers: the library would be a second allocator.
bop_crate(snmalloc-sys DEFINITIONS SNMALLOC_USE_WAIT_ON_ADDRESS=1)
bop_build_crates()

if(BOP_SYSTEM_MDBX)
  bop_library(mdbx HEADER mdbx.h LIBRARY mdbx)
else()
  bop_crate_target(bop::mdbx mdbx-sys INCLUDE libmdbx)
endif()

# For mem's .cpp files, including the operator new of bopd and bop (src/mem/operator_new.cpp). With sanitizers it has no
# headers and BOP_SNMALLOC is 0, because snmalloc would hide every use after free from them.
if(BOP_SANITIZE)
  add_library(bop::snmalloc INTERFACE IMPORTED GLOBAL)
  target_compile_definitions(bop::snmalloc INTERFACE BOP_SNMALLOC=0)
else()
  bop_crate_target(bop::snmalloc snmalloc-sys INCLUDE upstream/src)
  target_compile_definitions(bop::snmalloc INTERFACE BOP_SNMALLOC=1
    $<$<BOOL:${BOP_HARDENED_ALLOCATOR}>:SNMALLOC_CHECK_CLIENT>)
  target_link_libraries(bop::snmalloc INTERFACE atomic)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    target_compile_options(bop::snmalloc INTERFACE -mcx16)
  endif()
endif()
