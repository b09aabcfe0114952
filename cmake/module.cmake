# Modules: one target with its own include root each.
#
#   bop_module(NAME [SOURCES file...] [PUBLIC dependency...] [PRIVATE dependency...])
#
# defines the static library bop_<name>, alias bop::<name>, from src/<name>. Its headers are included as "<name>/file.h".
# SOURCES defaults to all .cpp files of the folder; a module without any is header-only. bop::base and bop::headers are
# implied. PUBLIC lists the modules that its headers include, PRIVATE those that only its .cpp files include. A
# subfolder with its own CMakeLists.txt is a nested module: bop_module(machine/kv) defines bop::machine_kv, whose headers
# are included as "machine/kv/file.h" and are not visible through bop::machine.
#
# A shared -Isrc would enforce nothing. Instead each include root has links to the headers of one module only, so that
# an include of a module that the target does not link fails to compile. The table below lists the permitted
# dependencies; docs/ARCHITECTURE.md explains it.

set(BOP_MODULES base mem port io net raft log snapshot proto machine group node client serve capi)
set(bop_module_base_may)
set(bop_module_mem_may)
set(bop_module_port_may mem)
set(bop_module_io_may mem port)
set(bop_module_net_may mem port io)
set(bop_module_raft_may mem)
set(bop_module_log_may mem port raft_types)
set(bop_module_snapshot_may mem port)
set(bop_module_proto_may mem raft_types)
set(bop_module_machine_may mem proto)
set(bop_module_group_may mem port raft log snapshot proto machine)
set(bop_module_node_may mem port group log snapshot proto machine)
set(bop_module_client_may mem port io net proto)
set(bop_module_serve_may mem port io net node proto)
set(bop_module_capi_may mem port io net raft log snapshot proto machine machine_kv group node client serve)

# The order matters only to readers; a nested module follows its parent.
list(TRANSFORM BOP_MODULES REPLACE "^machine$" "machine;machine/kv")
list(TRANSFORM BOP_MODULES REPLACE "^capi$" "capi;capi/node")

function(bop_add_subdirectory folder)
  if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${folder}/CMakeLists.txt")
    add_subdirectory(${folder})
  endif()
endfunction()

function(bop_link original link)
  cmake_path(GET link PARENT_PATH parent)
  file(MAKE_DIRECTORY "${parent}")
  file(CREATE_LINK "${original}" "${link}" SYMBOLIC)
endfunction()

# Makes ROOT/<module> a link to FOLDER or, if FOLDER has nested modules, a folder of links to everything else.
function(bop_make_include_root module folder root)
  file(GLOB entries CONFIGURE_DEPENDS RELATIVE "${folder}" "${folder}/*")
  set(nested FALSE)
  set(shown)
  foreach(entry IN LISTS entries)
    if(EXISTS "${folder}/${entry}/CMakeLists.txt")
      set(nested TRUE)
    elseif(IS_DIRECTORY "${folder}/${entry}" OR entry MATCHES "\\.h$")
      list(APPEND shown "${entry}")
    endif()
  endforeach()

  set(link "${root}/${module}")
  if(IS_SYMLINK "${link}")
    file(REMOVE "${link}")
  elseif(IS_DIRECTORY "${link}")
    file(GLOB stale "${link}/*")
    file(REMOVE ${stale})
    if(NOT nested)
      file(REMOVE_RECURSE "${link}")
    endif()
  endif()
  if(nested)
    file(MAKE_DIRECTORY "${link}")
    foreach(entry IN LISTS shown)
      bop_link("${folder}/${entry}" "${link}/${entry}")
    endforeach()
  else()
    bop_link("${folder}" "${link}")
  endif()
endfunction()

# The files of a module that match PATTERN, without those of nested modules.
function(bop_module_files result folder pattern)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS RELATIVE "${folder}" "${folder}/${pattern}")
  file(GLOB nested RELATIVE "${folder}" "${folder}/*/CMakeLists.txt")
  foreach(list IN LISTS nested)
    cmake_path(GET list PARENT_PATH inner)
    list(FILTER files EXCLUDE REGEX "^${inner}/")
  endforeach()
  set(${result} ${files} PARENT_SCOPE)
endfunction()

# Also records third-party dependencies in the target's BOP_OUTSIDE, for cmake/libraries.cmake.
function(bop_check_dependencies module target)
  cmake_path(GET module PARENT_PATH parent)
  if(parent) # a nested module may include its parent, and what its parent may include
    set(allowed base headers options ${bop_module_${parent}_may} ${parent})
  else()
    set(allowed base headers options ${bop_module_${module}_may})
  endif()
  string(REPLACE "/" "_" all_modules "${BOP_MODULES};raft_types;options")
  foreach(dependency IN LISTS ARGN)
    string(REGEX REPLACE "^bop(::|_)" "" name "${dependency}")
    if(NOT name IN_LIST all_modules)
      set_property(TARGET ${target} APPEND PROPERTY BOP_OUTSIDE ${dependency})
    elseif(NOT name IN_LIST allowed)
      message(FATAL_ERROR
        "Module ${module} may not include ${name}: see docs/ARCHITECTURE.md and cmake/module.cmake")
    endif()
  endforeach()
endfunction()

function(bop_module module)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;PUBLIC;PRIVATE")
  set(sources ${arg_SOURCES} ${arg_UNPARSED_ARGUMENTS})
  set(folder "${CMAKE_CURRENT_SOURCE_DIR}")
  string(REPLACE "/" "_" name "${module}")
  set(target bop_${name})
  set(root "${CMAKE_BINARY_DIR}/modules/${name}")

  bop_make_include_root(${module} "${folder}" "${root}")
  if(NOT sources)
    bop_module_files(sources "${folder}" "*.cpp")
  endif()

  set(public_dependencies bop::headers)
  if(NOT module STREQUAL "base")
    list(APPEND public_dependencies bop::base)
  endif()
  list(APPEND public_dependencies ${arg_PUBLIC})

  if(sources)
    set(scope PUBLIC)
    add_library(${target} STATIC ${sources})
    target_link_libraries(${target} PRIVATE ${arg_PRIVATE})
  else()
    set(scope INTERFACE)
    add_library(${target} INTERFACE)
  endif()
  add_library(bop::${name} ALIAS ${target})
  bop_check_dependencies(${module} ${target} ${arg_PUBLIC} ${arg_PRIVATE})
  target_include_directories(${target} ${scope} "${root}")
  target_link_libraries(${target} ${scope} ${public_dependencies})

  bop_module_files(headers "${folder}" "*.h")
  list(TRANSFORM headers PREPEND "${module}/")
  bop_check_headers(${name} HEADERS ${headers} DEPS ${target} ${arg_PRIVATE})
endfunction()

# bop_module_variant(NAME [SEPARATE] [DEPS dependency...]): the library bop_<name>_seeded, which is the module with the
# bugs of its seeded_bugs.h. A program that links it in place of the module selects one bug. It is built only if
# something links it. SEPARATE: its files cannot be compiled as one translation unit.
function(bop_module_variant module)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SEPARATE" "" "DEPS")
  string(REPLACE "/" "_" name "${module}")
  get_target_property(sources bop_${name} SOURCES)
  list(TRANSFORM sources PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/")
  set(target bop_${name}_seeded)
  add_library(${target} STATIC EXCLUDE_FROM_ALL ${sources})
  # One translation unit, because nobody edits the variant.
  if(NOT arg_SEPARATE)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 0)
  endif()
  target_compile_definitions(${target} PUBLIC BOP_SEEDED_BUGS)
  target_include_directories(${target} PUBLIC "${CMAKE_BINARY_DIR}/modules/${name}")
  target_link_libraries(${target} PUBLIC bop::headers bop::base ${arg_DEPS})
endfunction()

# raft/types.h alone, for modules that use terms and indexes but not the core.
function(bop_raft_types)
  set(root "${CMAKE_BINARY_DIR}/modules/raft_types")
  bop_link("${CMAKE_SOURCE_DIR}/src/raft/types.h" "${root}/raft/types.h")
  add_library(bop_raft_types INTERFACE)
  add_library(bop::raft_types ALIAS bop_raft_types)
  target_include_directories(bop_raft_types INTERFACE "${root}")
  target_link_libraries(bop_raft_types INTERFACE bop::base bop::headers bop::mem)
  if(EXISTS "${CMAKE_SOURCE_DIR}/src/raft/types.h")
    bop_check_headers(raft_types HEADERS raft/types.h DEPS bop_raft_types)
  endif()
endfunction()

# The options of modules, alone: plain data, which every module may include, so that a configuration is passed
# whole from capi, which reads it, to the module that uses it.
function(bop_options)
  set(headers raft/config.h log/options.h machine/options.h group/limits.h node/options.h)
  set(root "${CMAKE_BINARY_DIR}/modules/options")
  foreach(header IN LISTS headers)
    bop_link("${CMAKE_SOURCE_DIR}/src/${header}" "${root}/${header}")
  endforeach()
  add_library(bop_options INTERFACE)
  add_library(bop::options ALIAS bop_options)
  target_include_directories(bop_options INTERFACE "${root}")
  target_link_libraries(bop_options INTERFACE bop::base bop::headers)
  bop_check_headers(options HEADERS ${headers} DEPS bop_options)
endfunction()
