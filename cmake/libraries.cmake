# libbop and libbopd, as those who embed bop get them.
#
#   libbop    configuration, client, queue, log inspection, the machine kv, and all that they stand on
#   libbopd   the node beside it; needs libbop
#
# Linked statically as bop::libbop and bop::libbopd, or as the shared libraries bop::libbop_shared and
# bop::libbopd_shared. Each gives the public C headers and nothing else: the rooms' include roots stay
# inside. Shared, libbopd reaches the rooms in libbop by private symbols, whose version is this very
# release's: there is one allocator in a process, and no mix of releases loads.

set(bop_libbop_rooms base mem port io net raft log proto machine machine_kv group client capi)
set(bop_libbopd_rooms node serve capi_node)

function(bop_static_library name)
  add_library(bop_${name} INTERFACE)
  add_library(bop::${name} ALIAS bop_${name})
  target_link_libraries(bop_${name} INTERFACE bop::headers)
  foreach(room IN LISTS ARGN)
    target_link_libraries(bop_${name} INTERFACE $<LINK_ONLY:bop_${room}>)
  endforeach()
endfunction()

# The rooms that have code.
function(bop_archives result)
  set(archives)
  foreach(room IN LISTS ARGN)
    get_target_property(type bop_${room} TYPE)
    if(type STREQUAL "STATIC_LIBRARY")
      list(APPEND archives bop_${room})
    endif()
  endforeach()
  set(${result} ${archives} PARENT_SCOPE)
endfunction()

# bop_shared_library(NAME rooms... [NEEDS target])
function(bop_shared_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "NEEDS" "")
  set(target bop_${name}_shared)
  bop_archives(archives ${arg_UNPARSED_ARGUMENTS})
  list(JOIN archives "," joined)
  set(map "${CMAKE_SOURCE_DIR}/packaging/${name}.map")

  file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/${name}.c" CONTENT "extern int bop_not_empty;\n")
  add_library(${target} SHARED "${CMAKE_BINARY_DIR}/${name}.c")
  add_library(bop::${name}_shared ALIAS ${target})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME "${name}" PREFIX "" LINKER_LANGUAGE CXX
    VERSION "${PROJECT_VERSION}" SOVERSION "${PROJECT_VERSION_MAJOR}" LINK_DEPENDS "${map}")
  target_link_libraries(${target} PUBLIC bop::headers ${arg_NEEDS}
    PRIVATE ${archives})
  # As an override: they name each other too, and the libraries of both kinds would be mixed.
  set_target_properties(${target} PROPERTIES LINK_LIBRARY_OVERRIDE "WHOLE_ARCHIVE,${joined}")
  target_link_options(${target} PRIVATE
    "LINKER:--version-script=${map}" LINKER:-z,defs)
endfunction()

bop_static_library(libbop capi machine_kv)
bop_static_library(libbopd capi_node capi machine_kv)

if(NOT BOP_SANITIZE)
  # What libbopd needs of them is exported, by the version script; hidden, it could not be.
  bop_archives(bop_exporting ${bop_libbop_rooms})
  set_target_properties(${bop_exporting} PROPERTIES CXX_VISIBILITY_PRESET default)
endif()

# Off until the link of archives that name each other holds in every generator's order.
option(BOP_SHARED "Build libbop and libbopd as shared libraries too" OFF)
if(BOP_SHARED AND NOT BOP_SANITIZE)
  bop_shared_library(libbop ${bop_libbop_rooms})
  bop_shared_library(libbopd ${bop_libbopd_rooms} NEEDS bop::libbop_shared)
endif()
