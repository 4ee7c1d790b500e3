# SPDX-License-Identifier: Apache-2.0
#
# Compiler flags, as three interface targets that never leave this build:
#   gort_flags        every translation unit of ours: warnings, frame pointers, sanitizer
#   gort_core_flags   the freestanding floors on top of that
# What a consumer gets stands in GortLibrary.cmake.

if(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
  message(FATAL_ERROR "Gort runs on Linux; this is ${CMAKE_SYSTEM_NAME}.")
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 12)
  message(FATAL_ERROR "Gort needs GCC 12 or newer; ${CMAKE_CXX_COMPILER} is ${CMAKE_CXX_COMPILER_VERSION}.")
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
  message(FATAL_ERROR "Gort needs Clang 14 or newer; ${CMAKE_CXX_COMPILER} is ${CMAKE_CXX_COMPILER_VERSION}.")
endif()
string(TOLOWER "${CMAKE_SYSTEM_PROCESSOR}" gort_processor)
if(gort_processor MATCHES "^(x86_64|amd64)$")
  set(GORT_ARCH amd64)
else()
  message(FATAL_ERROR "Gort supports amd64 so far; this is ${CMAKE_SYSTEM_PROCESSOR}.")
endif()

if(PROJECT_IS_TOP_LEVEL)
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
  endif()
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
  find_program(GORT_CCACHE ccache)
  if(GORT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    # Depend mode: what a source includes is learnt from the compiler's own .d file, not by preprocessing it once more.
    # The sloppiness is what precompiled headers need (tests, GortTests.cmake); the headers' times are no part of a key.
    # The inode cache: not to read 100 MB of a precompiled header for each source that uses it.
    find_program(GORT_ENV env REQUIRED)
    mark_as_advanced(GORT_ENV)
    set(gort_launcher ${GORT_ENV} CCACHE_DEPEND=1 CCACHE_INODECACHE=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${GORT_CCACHE})
    set(CMAKE_C_COMPILER_LAUNCHER ${gort_launcher})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${gort_launcher})
  endif()
  set(CMAKE_COLOR_DIAGNOSTICS OFF)
endif()

add_library(gort_flags INTERFACE)
set(gort_cxx "$<COMPILE_LANGUAGE:CXX>")
set(gort_warnings -Wall -Wextra -Wundef -Wshadow -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # -Wthread-safety: our locks carry capability annotations; they are erased under GCC.
  list(APPEND gort_warnings -Wthread-safety)
endif()
if(GORT_WERROR)
  list(APPEND gort_warnings -Werror)
endif()
target_compile_options(gort_flags INTERFACE
  "$<${gort_cxx}:${gort_warnings};-fno-omit-frame-pointer;-fasynchronous-unwind-tables;-fstack-clash-protection>")
# Tests and examples see the library's public interface through gort::gort; -z now: no lazy binding at run time.
target_link_options(gort_flags INTERFACE LINKER:-z,now)
if(GORT_DEBUG)
  target_compile_definitions(gort_flags INTERFACE GORT_DEBUG=1)
endif()

# Sanitizers.  Code asks the compiler (__SANITIZE_ADDRESS__, __has_feature), so nothing is defined here.
if(GORT_SANITIZE STREQUAL "address")
  set(gort_san -fsanitize=address)
elseif(GORT_SANITIZE STREQUAL "undefined")
  # vptr needs RTTI, which the core is built without.
  set(gort_san -fsanitize=undefined -fno-sanitize=vptr -fno-sanitize-recover=all)
elseif(GORT_SANITIZE STREQUAL "thread")
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "TSan builds use Clang: GCC 12's runtime dies at 8128 fibers.  Use --preset tsan.")
  endif()
  set(gort_san -fsanitize=thread)
elseif(GORT_SANITIZE)
  message(FATAL_ERROR "GORT_SANITIZE is '${GORT_SANITIZE}'; it may be address, undefined or thread.")
endif()
if(GORT_SANITIZE)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 takes the instrumentation of std::optional for a read of its value.
    list(APPEND gort_san -Wno-maybe-uninitialized)
  endif()
  # The assembler too: the switch calls the sanitizers' fiber hooks where these options define their macros.
  target_compile_options(gort_flags INTERFACE "$<$<COMPILE_LANGUAGE:CXX,ASM>:${gort_san}>")
  target_link_options(gort_flags INTERFACE ${gort_san})
endif()

if(GORT_FUZZ)
  target_compile_options(gort_flags INTERFACE "$<${gort_cxx}:-fsanitize=fuzzer-no-link>")
endif()

# The freestanding floors.  Frame sizes (.su files, .stack_sizes sections) feed the dialect checker.
add_library(gort_core_flags INTERFACE)
target_link_libraries(gort_core_flags INTERFACE gort_flags)
target_compile_options(gort_core_flags INTERFACE
  "$<${gort_cxx}:-fno-exceptions;-fno-rtti;-fno-threadsafe-statics;-ffunction-sections>"
  "$<${gort_cxx}:$<IF:$<CXX_COMPILER_ID:GNU>,-fstack-usage,-fstack-size-section>>"
  "$<${gort_cxx}:-fno-semantic-interposition>")

find_package(Threads REQUIRED)
