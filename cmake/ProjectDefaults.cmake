# SPDX-License-Identifier: GPL-2.0-or-later
# Every compiler flag of the project lives here, on one interface target.
add_library(pofr_defaults INTERFACE)
add_library(pofr::defaults ALIAS pofr_defaults)

set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif()

# assert() stays on in every build: CMake's own value would add -DNDEBUG.
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
set(CMAKE_C_FLAGS_RELEASE "-O2")

target_compile_definitions(pofr_defaults INTERFACE _GNU_SOURCE POFR_VERSION="${PROJECT_VERSION}")
target_link_options(pofr_defaults INTERFACE -Wl,--as-needed)
target_include_directories(pofr_defaults INTERFACE "${PROJECT_SOURCE_DIR}")
target_compile_options(pofr_defaults INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
  -Wwrite-strings -Wpointer-arith -Wformat=2 -Wundef -Wvla -Wdouble-promotion -Wimplicit-fallthrough
  -Wno-format-zero-length -Wconversion -Wno-sign-conversion -fno-common -fno-omit-frame-pointer
  $<$<C_COMPILER_ID:GNU>:-Wlogical-op -Wduplicated-cond>)

set(POFR_SANITIZE "" CACHE STRING "Semicolon list: address;undefined | thread | memory")
if(POFR_SANITIZE)
  string(REPLACE ";" "," pofr_sanitize_list "${POFR_SANITIZE}")
  target_compile_options(pofr_defaults INTERFACE -fsanitize=${pofr_sanitize_list} -fno-sanitize-recover=all)
  target_link_options(pofr_defaults INTERFACE -fsanitize=${pofr_sanitize_list})
  # The C library asks for this by itself only with _FORTIFY_SOURCE: so a result ignored is an error here too,
  # not first in the release build (gcc takes no (void) for an excuse: POFR_IGNORE).
  target_compile_definitions(pofr_defaults INTERFACE "__wur=__attribute__((__warn_unused_result__))")
else()
  # What is installed names no folder of the machine that built it (assert(), debug information).
  target_compile_options(pofr_defaults INTERFACE "-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=")
  target_compile_options(pofr_defaults INTERFACE -fstack-protector-strong -fstack-clash-protection
    $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>)
  target_link_options(pofr_defaults INTERFACE -Wl,-z,relro,-z,now)
endif()

option(POFR_FUZZ "Build libFuzzer binaries (clang only)" OFF)
if(POFR_FUZZ) # instrument the libraries too, or the fuzzer is blind
  target_compile_options(pofr_defaults INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Test builds stop at named points of the code (docs/GUARANTEES.md); release builds have no such points.
option(POFR_STOP_POINTS "Compile in the named stop points for crash tests" OFF)
if(POFR_STOP_POINTS)
  target_compile_definitions(pofr_defaults INTERFACE POFR_STOP_POINTS=1)
endif()

find_program(POFR_CCACHE ccache)
if(POFR_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER "${POFR_CCACHE}")
endif()
