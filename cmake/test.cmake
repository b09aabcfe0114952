# Tests, fuzz targets, and the check that every header compiles alone.

if(BOP_TESTS)
  include(GoogleTest)
endif()

# tests: every test program; tests_<module>: those of one folder of tests/; header_checks: see below.
add_custom_target(tests)
add_custom_target(header_checks)
foreach(module IN LISTS BOP_MODULES ITEMS e2e)
  string(REPLACE "/" "_" name "${module}")
  add_custom_target(tests_${name})
endforeach()

# Test programs of a folder are built together, into one folder.
function(bop_place_test target label)
  set_target_properties(${target} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests/${label}")
  add_dependencies(tests ${target})
  if(TARGET tests_${label})
    add_dependencies(tests_${label} ${target})
  endif()
endfunction()

# bop_test(NAME source... [DEPS dependency...] [WHOLE] [OPTIMISED] [TIMEOUT seconds]
#          [ENVIRONMENT NAME=value...])
#
# A GoogleTest program, declared in tests/<module>/CMakeLists.txt and labelled with that folder. Every test case is a
# test of ctest, unless WHOLE is given: thousands of small cases are faster in one process. With sanitizers the test's
# own code is compiled without optimization, which takes half the time, unless OPTIMISED is given, for tests that
# compute much themselves. The tested code is always optimized.
function(bop_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "WHOLE;OPTIMISED" "TIMEOUT" "SOURCES;DEPS;ENVIRONMENT")
  cmake_path(GET CMAKE_CURRENT_SOURCE_DIR FILENAME label)
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  set(target test_${name})
  add_executable(${target} ${arg_SOURCES} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${target} PRIVATE ${arg_DEPS} bop::gtest)
  if(BOP_SANITIZE AND NOT arg_OPTIMISED)
    target_compile_options(${target} PRIVATE -O0)
  endif()
  bop_place_test(${target} ${label})
  set(properties LABELS ${label} TIMEOUT ${arg_TIMEOUT})
  if(arg_ENVIRONMENT)
    list(APPEND properties ENVIRONMENT "${arg_ENVIRONMENT}")
  endif()
  if(arg_WHOLE)
    add_test(NAME ${name} COMMAND ${target} --gtest_brief=1)
    set_tests_properties(${name} PROPERTIES ${properties})
  else()
    gtest_discover_tests(${target} TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST
      DISCOVERY_TIMEOUT 60 EXTRA_ARGS --gtest_brief=1 PROPERTIES ${properties})
  endif()
endfunction()

# bop_bug_tests(NAME source... DEPS dependency... BUGS bug... [ARGUMENTS argument...])
#
# A program that links a module's variant with seeded bugs (base/seeded_bugs.h). There is one test per bug, which runs the
# program with the name of the bug and ARGUMENTS and passes if the program detects the bug. The test "none" runs it
# without a bug; the program must then print "not seen".
function(bop_bug_tests name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "DEPS;BUGS;ARGUMENTS")
  cmake_path(GET CMAKE_CURRENT_SOURCE_DIR FILENAME label)
  set(target test_${name})
  add_executable(${target} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${target} PRIVATE ${arg_DEPS})
  bop_place_test(${target} ${label})
  foreach(bug IN LISTS arg_BUGS)
    add_test(NAME ${name}.${bug} COMMAND ${target} ${bug} ${arg_ARGUMENTS})
    set_tests_properties(${name}.${bug} PROPERTIES LABELS ${label} TIMEOUT 300)
  endforeach()
  add_test(NAME ${name}.none COMMAND ${target} none ${arg_ARGUMENTS})
  set_tests_properties(${name}.none PROPERTIES LABELS ${label} TIMEOUT 300
    PASS_REGULAR_EXPRESSION "^not seen")
endfunction()

# bop_script_test(NAME script [argument...])
#
# A script in tests/<folder>/ that drives the programs in $BOP_BIN. Scripts run one at a time: concurrent clusters would
# wait for each other's disks and processors.
function(bop_script_test name script)
  cmake_path(GET CMAKE_CURRENT_SOURCE_DIR FILENAME label)
  add_test(NAME ${name} COMMAND "${CMAKE_CURRENT_SOURCE_DIR}/${script}" ${ARGN})
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT 300 RESOURCE_LOCK cluster
    ENVIRONMENT "BOP_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
endfunction()

# bop_fuzz(NAME source... [DEPS dependency...])
#
# A program with one LLVMFuzzerTestOneInput. In the fuzz preset it is a libFuzzer program, which scripts/fuzz runs; in
# other presets it is a test that replays fuzz/corpus/<name>/.
function(bop_fuzz name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPS")
  set(target fuzz_${name})
  set(corpus "${CMAKE_SOURCE_DIR}/fuzz/corpus/${name}")
  add_executable(${target} ${arg_SOURCES} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${target} PRIVATE ${arg_DEPS})
  set_target_properties(${target} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/fuzz" OUTPUT_NAME ${name})
  if(BOP_FUZZ)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${target} PRIVATE "${CMAKE_SOURCE_DIR}/fuzz/replay_main.cpp")
    add_dependencies(tests ${target})
    add_test(NAME fuzz.${name} COMMAND ${target} "${corpus}")
    set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT 300)
  endif()
endfunction()

# Compiles every header as a translation unit of its own: a header with a missing include, or with an include of a
# module that it may not use, fails to compile.
function(bop_check_headers name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "C99" "" "HEADERS;DEPS")
  if(NOT arg_HEADERS OR NOT BOP_TESTS OR BOP_SANITIZE)
    return()
  endif()
  set(suffix cpp)
  if(arg_C99)
    set(suffix c)
  endif()
  set(sources)
  foreach(header IN LISTS arg_HEADERS)
    string(MAKE_C_IDENTIFIER "${header}" unit)
    set(source "${CMAKE_BINARY_DIR}/header_checks/${name}/${unit}.${suffix}")
    # Included twice to check the include guard. A C translation unit must not be empty.
    file(CONFIGURE OUTPUT "${source}" @ONLY CONTENT
      "#include \"@header@\"\n#include \"@header@\"\nextern int bop_not_empty;\n")
    list(APPEND sources "${source}")
  endforeach()
  set(target header_checks_${name})
  add_library(${target} OBJECT EXCLUDE_FROM_ALL ${sources})
  target_link_libraries(${target} PRIVATE ${arg_DEPS})
  target_compile_options(${target} PRIVATE -O0 -g0 -U_FORTIFY_SOURCE)
  if(arg_C99)
    target_compile_options(${target} PRIVATE -pedantic-errors -Wstrict-prototypes)
  endif()
  add_dependencies(header_checks ${target})
endfunction()

# The public headers, each alone, as C99 and as C++.
function(bop_check_public_headers)
  file(GLOB headers CONFIGURE_DEPENDS RELATIVE "${CMAKE_SOURCE_DIR}/include"
    "${CMAKE_SOURCE_DIR}/include/bop/*.h")
  bop_check_headers(public_c C99 HEADERS ${headers} DEPS bop_headers)
  bop_check_headers(public_cxx HEADERS ${headers} DEPS bop_headers)
endfunction()
