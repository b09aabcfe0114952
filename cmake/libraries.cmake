# libbop and libbopd, the libraries for programs that embed bop.
#
#   libbop    configuration, client, queue, log inspection, the machine kv, and the modules that these use
#   libbopd   the node; needs libbop
#
# bop::libbop and bop::libbopd are the archives of the modules, for targets of this tree. libbop.a, libbop.so and so on
# are installed; they consist of the modules' objects, so that nothing is compiled twice. Both provide only the public
# C headers, not the modules' include roots. The shared libbopd uses the modules in libbop through private symbols with
# the version of the exact release: a process has one allocator, and releases cannot be mixed.

include(GNUInstallDirs)
option(BOP_LIBRARIES "Build libbop and libbopd to be installed, static and shared" ON)

set(bop_libbop_modules base mem port io net raft log snapshot proto machine machine_kv group client capi)
set(bop_libbopd_modules node serve capi_node)

function(bop_static_library name)
  add_library(bop_${name} INTERFACE)
  add_library(bop::${name} ALIAS bop_${name})
  target_link_libraries(bop_${name} INTERFACE bop::headers)
  foreach(module IN LISTS ARGN)
    target_link_libraries(bop_${name} INTERFACE $<LINK_ONLY:bop_${module}>)
  endforeach()
endfunction()

# Other machines do not have the archives of crates, so their objects are added to ours.
function(bop_add_crates target)
  set(archives)
  foreach(outside IN LISTS ARGN)
    get_target_property(links ${outside} INTERFACE_LINK_LIBRARIES)
    list(FILTER links INCLUDE REGEX "^${BOP_CRATES_FOLDER}/.*\\.a$")
    list(APPEND archives ${links})
  endforeach()
  if(archives)
    list(TRANSFORM archives REPLACE "(.+)" "ADDLIB \\1\n")
    string(CONCAT script "OPEN lib$<TARGET_PROPERTY:${target},OUTPUT_NAME>.a\n" ${archives} "SAVE\nEND\n")
    file(GENERATE OUTPUT "${CMAKE_BINARY_DIR}/${target}.mri" CONTENT "${script}")
    add_custom_command(TARGET ${target} POST_BUILD WORKING_DIRECTORY "$<TARGET_FILE_DIR:${target}>"
      COMMAND "${CMAKE_AR}" -M < "${CMAKE_BINARY_DIR}/${target}.mri")
  endif()
endfunction()

# bop_installed_library(NAME modules... [NEEDS libraries...]): bop::NAME_shared and bop::NAME_archive.
function(bop_installed_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "NEEDS")
  set(objects)
  set(outside)
  foreach(module IN LISTS arg_UNPARSED_ARGUMENTS)
    get_target_property(type bop_${module} TYPE)
    if(type STREQUAL "STATIC_LIBRARY") # else header-only
      list(APPEND objects $<TARGET_OBJECTS:bop_${module}>)
      # The version script exports what libbopd needs of libbop, which requires default visibility.
      set_target_properties(bop_${module} PROPERTIES CXX_VISIBILITY_PRESET default)
    endif()
    get_target_property(more bop_${module} BOP_OUTSIDE)
    if(more)
      list(APPEND outside ${more})
    endif()
  endforeach()
  list(REMOVE_DUPLICATES outside)

  string(REGEX REPLACE "^lib" "" output "${name}")
  set(map "${CMAKE_SOURCE_DIR}/packaging/${name}.map")
  add_library(bop_${name}_shared SHARED ${objects})
  add_library(bop_${name}_archive STATIC ${objects})
  foreach(kind IN ITEMS shared archive)
    add_library(bop::${name}_${kind} ALIAS bop_${name}_${kind})
    set_target_properties(bop_${name}_${kind} PROPERTIES OUTPUT_NAME "${output}" LINKER_LANGUAGE CXX)
    target_link_libraries(bop_${name}_${kind} PUBLIC bop::headers)
  endforeach()

  bop_add_crates(bop_${name}_archive ${outside})

  set_target_properties(bop_${name}_shared PROPERTIES INSTALL_RPATH "$ORIGIN" VERSION "${PROJECT_VERSION}"
    SOVERSION "${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}" LINK_DEPENDS "${map}")
  target_link_libraries(bop_${name}_shared PRIVATE ${outside})
  target_link_options(bop_${name}_shared PRIVATE "LINKER:--version-script=${map}" LINKER:-z,defs)
  foreach(library IN LISTS arg_NEEDS)
    target_link_libraries(bop_${name}_shared PUBLIC bop::${library}_shared)
  endforeach()

  install(TARGETS bop_${name}_shared bop_${name}_archive)
  file(RELATIVE_PATH bop_up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/") # relocatable
  configure_file("${CMAKE_SOURCE_DIR}/packaging/${name}.pc.in" "${CMAKE_BINARY_DIR}/${name}.pc" @ONLY)
  install(FILES "${CMAKE_BINARY_DIR}/${name}.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endfunction()

bop_static_library(libbop capi machine_kv)
bop_static_library(libbopd capi_node capi machine_kv)

if(BOP_LIBRARIES AND NOT BOP_SANITIZE AND NOT BOP_FUZZ)
  bop_installed_library(libbop ${bop_libbop_modules})
  bop_installed_library(libbopd ${bop_libbopd_modules} NEEDS libbop)
  install(DIRECTORY "${CMAKE_SOURCE_DIR}/include/bop" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
endif()
