# SPDX-License-Identifier: GPL-2.0-or-later
# pofr_add_unit_test(<folder>/<module> LIBS <target>... [WRAP <symbol>...] [SOURCES <file>...])
# Builds tests/unit/<folder>/test_<module>.c and registers it with CTest as unit/<folder>/<module>.
# WRAP replaces a libc symbol by __wrap_<symbol> of the test.
function(pofr_add_unit_test name)
  cmake_parse_arguments(arg "" "" "LIBS;WRAP;SOURCES" ${ARGN})
  get_filename_component(folder "${name}" DIRECTORY)
  get_filename_component(module "${name}" NAME)
  string(REPLACE "/" "_" target "unit_${name}")
  add_executable(${target} "${PROJECT_SOURCE_DIR}/tests/unit/${folder}/test_${module}.c" ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE pofr::defaults ${arg_LIBS} PkgConfig::CMOCKA)
  foreach(symbol IN LISTS arg_WRAP)
    target_link_options(${target} PRIVATE "-Wl,--wrap=${symbol}")
  endforeach()
  add_test(NAME "unit/${name}" COMMAND ${target})
  set_tests_properties("unit/${name}" PROPERTIES TIMEOUT 120)
endfunction()
