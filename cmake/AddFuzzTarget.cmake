# SPDX-License-Identifier: GPL-2.0-or-later
# pofr_add_fuzz_target(<name> LIBS <target>...)
# tests/fuzz/<name>.c defines LLVMFuzzerTestOneInput(). With -DPOFR_FUZZ=ON (clang) it is a libFuzzer
# program; else tests/fuzz/replay.c is its main and CTest replays every file of tests/fuzz/corpus/<name>/.
# May be called from the list of any folder of tests.
function(pofr_add_fuzz_target name)
  cmake_parse_arguments(arg "" "" "LIBS" ${ARGN})
  set(here "${PROJECT_SOURCE_DIR}/tests/fuzz")
  add_executable(${name} "${here}/${name}.c")
  target_link_libraries(${name} PRIVATE pofr::defaults ${arg_LIBS})
  if(POFR_FUZZ)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    # libFuzzer writes what it finds into the first folder: never the committed one.
    file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/found/${name}")
    add_test(NAME "fuzz/${name}" COMMAND ${name} -runs=20000 -max_total_time=30 -timeout=10
                                         "${PROJECT_BINARY_DIR}/found/${name}" "${here}/corpus/${name}")
  else()
    target_sources(${name} PRIVATE "${here}/replay.c")
    add_test(NAME "fuzz/${name}" COMMAND ${name} "${here}/corpus/${name}")
  endif()
  set_tests_properties("fuzz/${name}" PROPERTIES TIMEOUT 120 LABELS fuzz)
endfunction()
