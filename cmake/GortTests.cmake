# SPDX-License-Identifier: Apache-2.0
#
# Tests, by directory:
#   tests/<floor>/*.cpp        one GoogleTest program test_<floor> (own main only if there is a main.cpp)
#   tests/crash/*.cpp          a program each, judged by its header comment (tools/crash_test.py)
#   tests/sim/*.cpp            a program each, must return 0 (or what its header comment says)
#   tests/<dir>/CMakeLists.txt takes precedence: the directory registers itself
# Tests reach internals through hidden symbols, so they need the static library.

if(BUILD_SHARED_LIBS)
  message(STATUS "gort: shared library; tests of internals are left out")
  return()
endif()

find_package(GTest REQUIRED)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
include(GoogleTest)
set(GORT_TEST_TIMEOUT 120)
if(GORT_SANITIZE OR GORT_DEBUG)
  set(GORT_TEST_TIMEOUT 300)
endif()
set(GORT_TEST_LABEL "${GORT_SANITIZE}")

# The header comment of a program in tests/crash, tests/sim or examples may say "// SKIP-IN: thread (reason)".
function(gort_skipped_here file result)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(STRINGS ${file} lines REGEX "^// SKIP-IN:")
  set(${result} FALSE PARENT_SCOPE)
  foreach(line IN LISTS lines)
    if(GORT_SANITIZE AND line MATCHES "SKIP-IN:[^(]*${GORT_SANITIZE}")
      set(${result} TRUE PARENT_SCOPE)
    elseif(GORT_DEBUG AND line MATCHES "SKIP-IN:[^(]*debug")
      set(${result} TRUE PARENT_SCOPE)
    endif()
  endforeach()
endfunction()

# Most of a test's compile time is the headers that all of them include, and the debug information of the templates in
# them. So the test programs share two precompiled headers: tests/pch.hpp for programs, tests/pch_gtest.hpp for GoogleTest.
# The latter carry names and lines only (-g1, what gort::gort gives to its consumers in Release), except in debug builds.
# The library, examples, benchmarks, tests/unwind and tests/crash (GCC names lambdas worse with -g1) have all of it.
# Who shares a header must have its flags: same definitions, same -g. GCC says so otherwise, and reads the headers themselves.
#
# gort_share_pch(<target> <header> [LIBRARY...]): the first who asks compiles tests/<header>.hpp in a target of its own.
function(gort_share_pch target header)
  set(owner gort_test_${header})
  if(NOT TARGET ${owner})
    file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/${header}.cpp CONTENT "")
    add_library(${owner} OBJECT ${PROJECT_BINARY_DIR}/${header}.cpp)
    add_library(${owner}_flags INTERFACE)
    target_link_libraries(${owner}_flags INTERFACE gort_internal ${ARGN})
    if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")  # a precompiled header from a compiler cache is older than a new checkout
      target_compile_options(${owner}_flags INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>")
    else()
      target_compile_options(${owner}_flags INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:-Wno-error=invalid-pch>")
    endif()
    if(header STREQUAL "pch_gtest" AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
      target_compile_options(${owner}_flags INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:-g1>")
    endif()
    target_link_libraries(${owner} PRIVATE ${owner}_flags)
    target_precompile_headers(${owner} PRIVATE ${PROJECT_SOURCE_DIR}/tests/${header}.hpp)
  endif()
  target_link_libraries(${target} PRIVATE ${owner}_flags)
  target_precompile_headers(${target} REUSE_FROM ${owner})
endfunction()

# gort_add_program(<kind> <file>): program <kind>_<name>, test <kind>.<name> judged by the header comment.
function(gort_add_program kind file)
  get_filename_component(name ${file} NAME_WE)
  set(target ${kind}_${name})
  add_executable(${target} ${file})
  gort_share_pch(${target} pch)
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/${kind})
  if(kind STREQUAL "crash")  # they do on purpose what these warn about; a source's options come behind -Wall
    set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS
      "-Wno-infinite-recursion;$<IF:$<CXX_COMPILER_ID:GNU>,-Wno-terminate,-Wno-exceptions>")
  endif()
  gort_skipped_here(${file} skip)
  if(skip)
    return()
  endif()
  add_test(NAME ${kind}.${name}
    COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/crash_test.py ${file} $<TARGET_FILE:${target}>)
  set_tests_properties(${kind}.${name} PROPERTIES TIMEOUT ${GORT_TEST_TIMEOUT} LABELS ${kind} SKIP_RETURN_CODE 77)
endfunction()

# gort_add_floor_test(<name> <dir>): one GoogleTest program of a directory.
function(gort_add_floor_test name dir)
  file(GLOB sources CONFIGURE_DEPENDS ${dir}/*.cpp ${dir}/*.S)
  if(NOT sources)
    return()
  endif()
  add_executable(test_${name} ${sources})
  if(name STREQUAL "unwind")
    target_link_libraries(test_${name} PRIVATE gort_internal GTest::gtest)
  else()
    gort_share_pch(test_${name} pch_gtest GTest::gtest)
  endif()
  target_include_directories(test_${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  if(NOT EXISTS ${dir}/main.cpp)
    target_link_libraries(test_${name} PRIVATE GTest::gtest_main)
  endif()
  gtest_discover_tests(test_${name} TEST_PREFIX ${name}. DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT ${GORT_TEST_TIMEOUT} LABELS unit)
endfunction()

set(GORT_TEST_DIRS_NOT_UNIT crash sim model consumer compile_fail tools fakes conformance freestanding)
file(GLOB test_dirs CONFIGURE_DEPENDS LIST_DIRECTORIES true ${PROJECT_SOURCE_DIR}/tests/*)
foreach(dir IN LISTS test_dirs)
  get_filename_component(name ${dir} NAME)
  if(NOT IS_DIRECTORY ${dir} OR name STREQUAL "model")
    continue()
  elseif(EXISTS ${dir}/CMakeLists.txt)
    add_subdirectory(${dir} tests/${name})
  elseif(NOT name IN_LIST GORT_TEST_DIRS_NOT_UNIT)
    gort_add_floor_test(${name} ${dir})
  endif()
endforeach()
foreach(kind crash sim)
  file(GLOB programs CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${kind}/*.cpp)
  foreach(program IN LISTS programs)
    gort_add_program(${kind} ${program})
  endforeach()
endforeach()
