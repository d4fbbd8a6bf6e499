# SPDX-License-Identifier: GPL-2.0-or-later
# pofr_add_fuzz_target(<name> LIBS <target>...)
# tests/fuzz/<name>.c defines LLVMFuzzerTestOneInput(). With -DPOFR_FUZZ=ON (clang) it is a libFuzzer
# program; else tests/fuzz/replay.c is its main and CTest replays every file of tests/fuzz/corpus/<name>/.
function(pofr_add_fuzz_target name)
  cmake_parse_arguments(arg "" "" "LIBS" ${ARGN})
  set(here "${PROJECT_SOURCE_DIR}/tests/fuzz")
  add_executable(${name} "${here}/${name}.c")
  target_link_libraries(${name} PRIVATE pofr::defaults ${arg_LIBS})
  if(POFR_FUZZ)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    add_test(NAME "fuzz/${name}" COMMAND ${name} -runs=1 "${here}/corpus/${name}")
  else()
    target_sources(${name} PRIVATE "${here}/replay.c")
    add_test(NAME "fuzz/${name}" COMMAND ${name} "${here}/corpus/${name}")
  endif()
endfunction()
