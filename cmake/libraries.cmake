# libbop and libbopd, as those who embed bop get them.
#
#   bop::libbop   configuration, client, queue, log inspection, the machine kv
#   bop::libbopd  the node beside it
#
# Both give the public C headers and nothing else: the rooms' include roots stay inside.

function(bop_static_library name)
  add_library(bop_${name} INTERFACE)
  add_library(bop::${name} ALIAS bop_${name})
  target_link_libraries(bop_${name} INTERFACE bop::headers)
  foreach(room IN LISTS ARGN)
    target_link_libraries(bop_${name} INTERFACE $<LINK_ONLY:${room}>)
  endforeach()
endfunction()

bop_static_library(libbop bop_capi bop_machine_kv)
if(TARGET bop_capi_node)
  bop_static_library(libbopd bop_capi_node bop_capi bop_machine_kv)
endif()
