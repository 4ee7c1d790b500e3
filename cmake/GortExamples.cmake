# SPDX-License-Identifier: Apache-2.0
#
# examples/*.cpp and examples/tour/*.cpp: a program each, against the public interface only (no src/ in the path).
# A "// RUN: [args]" line in the header comment makes the example a test (tools/crash_test.py judges its output).
# http_server.cpp needs Boost's headers, tls_echo.cpp OpenSSL (./dev setup installs them); where they are missing they are
# left out.

find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_custom_target(tour)  # what ./dev run needs, and no more
file(GLOB example_files CONFIGURE_DEPENDS examples/*.cpp examples/tour/*.cpp)
find_path(GORT_BOOST_INCLUDE boost/beast/http.hpp)
mark_as_advanced(GORT_BOOST_INCLUDE)
if(NOT GORT_BOOST_INCLUDE)
  message(STATUS "gort: no Boost.Beast; the example http_server is left out")
  list(FILTER example_files EXCLUDE REGEX "/http_server\\.cpp$")
endif()
find_package(OpenSSL 3 QUIET)
if(NOT OpenSSL_FOUND)
  message(STATUS "gort: no OpenSSL 3; the example tls_echo is left out")
  list(FILTER example_files EXCLUDE REGEX "/tls_echo\\.cpp$")
endif()
foreach(file IN LISTS example_files)
  get_filename_component(name ${file} NAME_WE)
  get_filename_component(dir ${file} DIRECTORY)
  get_filename_component(dir ${dir} NAME)
  if(dir STREQUAL "tour")
    set(target tour_${name})
    set(output ${CMAKE_CURRENT_BINARY_DIR}/examples/tour)
  else()
    set(target example_${name})
    set(output ${CMAKE_CURRENT_BINARY_DIR}/examples)
  endif()
  add_executable(${target} ${file})
  if(dir STREQUAL "tour" OR name STREQUAL "http_server")  # the server is a stop of the tour
    add_dependencies(tour ${target})
  endif()
  target_link_libraries(${target} PRIVATE gort::gort gort_flags)
  if(name STREQUAL "tls_echo")
    target_link_libraries(${target} PRIVATE OpenSSL::SSL)
  endif()
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${output} OUTPUT_NAME ${name})
  file(STRINGS ${file} run_lines REGEX "^// RUN:" LIMIT_COUNT 1)
  set(skip FALSE)
  if(COMMAND gort_skipped_here)
    gort_skipped_here(${file} skip)
  endif()
  if(run_lines AND GORT_TESTS AND NOT skip)
    add_test(NAME ${target} COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/crash_test.py
      ${file} $<TARGET_FILE:${target}>)
    set_tests_properties(${target} PROPERTIES TIMEOUT 120 LABELS example)
  endif()
endforeach()
