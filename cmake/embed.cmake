# bop_embed(TARGET FILE): generates FILE.inc in the target's build folder, with the bytes of the file as numbers for
# the initializer of an array of unsigned char. The target's sources can include it.

set(bop_embed_script "${CMAKE_CURRENT_LIST_DIR}/embed_file.cmake")

function(bop_embed target file)
  set(input "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
  set(output "${CMAKE_CURRENT_BINARY_DIR}/${file}.inc")
  add_custom_command(OUTPUT "${output}"
    COMMAND "${CMAKE_COMMAND}" -D "INPUT=${input}" -D "OUTPUT=${output}" -P "${bop_embed_script}"
    DEPENDS "${input}" "${bop_embed_script}" VERBATIM)
  target_sources(${target} PRIVATE "${output}")
  target_include_directories(${target} PRIVATE "${CMAKE_CURRENT_BINARY_DIR}")
endfunction()
