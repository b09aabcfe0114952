# Language, warnings, hardening and sanitizers of all targets.

include(CheckPIESupported)

set(CMAKE_C_STANDARD 99)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# Every library may become part of a shared libbop, which exports only what is marked as exported.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
check_pie_supported(LANGUAGES C CXX)

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")

# -g1 in release builds: function names and lines in stack traces, for little more compile time.
foreach(language C CXX)
  set(CMAKE_${language}_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
  set(CMAKE_${language}_FLAGS_DEBUG "-Og -g")
  set(CMAKE_${language}_FLAGS_SANITIZE "-O1 -g1 -fno-omit-frame-pointer")
endforeach()

set(bop_warnings -Wall -Wextra)
if(BOP_WERROR)
  list(APPEND bop_warnings -Werror)
endif()
add_compile_options(${bop_warnings} -fstack-protector-strong)
add_link_options(LINKER:-z,relro,-z,now,--as-needed)
set(CMAKE_THREAD_PREFER_PTHREAD ON)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-fno-semantic-interposition)
endif()
add_compile_definitions(
  $<$<NOT:$<CONFIG:Release>>:_GLIBCXX_ASSERTIONS>
  $<$<NOT:$<CONFIG:Release>>:BOP_SLOW_ASSERTS>)
# Undefined first, because the compilers of some distributions define another level. Not with sanitizers, which check
# more and do not work well with it.
add_compile_options($<$<CONFIG:Release>:-U_FORTIFY_SOURCE> $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>)

# Makes paths in asserts and debug information relative to the source tree, independent of its location. The second
# option is for ccache, which makes paths relative to the build folder first.
cmake_path(RELATIVE_PATH CMAKE_SOURCE_DIR BASE_DIRECTORY "${CMAKE_BINARY_DIR}" OUTPUT_VARIABLE bop_up)
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}/= -fmacro-prefix-map=${bop_up}/=)

if(BOP_SANITIZE STREQUAL "address")
  # fuzzer-no-link even without fuzzing, so that asan and fuzz share compilations in ccache.
  set(bop_sanitizers -fsanitize=address,undefined -fno-sanitize-recover=all)
  add_compile_options(${bop_sanitizers} -fsanitize=fuzzer-no-link)
  add_link_options(${bop_sanitizers})
elseif(BOP_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread)
  add_link_options(-fsanitize=thread)
elseif(NOT BOP_SANITIZE STREQUAL "")
  message(FATAL_ERROR "BOP_SANITIZE=${BOP_SANITIZE}: must be empty, address or thread")
endif()

find_program(BOP_CCACHE ccache)
if(BOP_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Paths relative to the source tree, so that clones share compilations.
  set(bop_launcher env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${BOP_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${bop_launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${bop_launcher})
endif()
