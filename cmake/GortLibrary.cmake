# SPDX-License-Identifier: Apache-2.0
#
# gort_core and gort.  The core is compiled once, as position-independent objects, and goes into both archives:
# libgort_core.a is what a program without libstdc++ links, libgort.{a,so} is complete by itself.

set(GORT_CORE_FLOORS base os schema arch lock unwind event mem gc sched lang diag)
set(gort_core_sources)
foreach(floor IN LISTS GORT_CORE_FLOORS)
  file(GLOB_RECURSE found CONFIGURE_DEPENDS src/${floor}/*.cpp)
  list(APPEND gort_core_sources ${found})
endforeach()
file(GLOB gort_asm_sources CONFIGURE_DEPENDS src/arch/${GORT_ARCH}/*.S)
file(GLOB_RECURSE gort_asm_cpp CONFIGURE_DEPENDS src/arch/${GORT_ARCH}/*.cpp)
file(GLOB_RECURSE gort_other_arch CONFIGURE_DEPENDS src/arch/*/*.cpp)
list(REMOVE_ITEM gort_other_arch ${gort_asm_cpp})
if(gort_other_arch)
  list(REMOVE_ITEM gort_core_sources ${gort_other_arch})
endif()
file(GLOB_RECURSE gort_api_sources CONFIGURE_DEPENDS src/api/*.cpp)
file(GLOB_RECURSE gort_public_headers CONFIGURE_DEPENDS include/gort/*.hpp)
set(gort_boost_headers ${CMAKE_CURRENT_SOURCE_DIR}/include/gort/asio.hpp)  # useful where Boost is; the library needs none
list(REMOVE_ITEM gort_public_headers ${gort_boost_headers})

# The version, generated: also what keeps both libraries non-empty.
configure_file(${CMAKE_CURRENT_SOURCE_DIR}/cmake/version.cpp.in version.cpp @ONLY)

add_library(gort_core_objects OBJECT ${gort_core_sources} ${gort_asm_sources}
  ${CMAKE_CURRENT_BINARY_DIR}/version.cpp)
target_link_libraries(gort_core_objects PRIVATE gort_core_flags)
add_library(gort_core STATIC $<TARGET_OBJECTS:gort_core_objects>)
set_target_properties(gort_core PROPERTIES LINKER_LANGUAGE CXX)

configure_file(${CMAKE_CURRENT_SOURCE_DIR}/cmake/api_anchor.cpp.in api_anchor.cpp @ONLY)
add_library(gort ${gort_api_sources} ${CMAKE_CURRENT_BINARY_DIR}/api_anchor.cpp
  $<TARGET_OBJECTS:gort_core_objects>)
add_library(gort::gort ALIAS gort)
target_link_libraries(gort PRIVATE $<BUILD_INTERFACE:gort_flags>)

foreach(target gort_core_objects gort_core gort)
  target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/src)
  target_compile_definitions(${target} PRIVATE GORT_BUILD=1)
  set_target_properties(${target} PROPERTIES
    POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
endforeach()
foreach(target gort_core_objects gort)
  target_compile_options(${target} PRIVATE
    "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-include ${CMAKE_CURRENT_SOURCE_DIR}/cmake/object_notes.h>")
endforeach()
target_include_directories(gort_core_objects PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/include)
target_include_directories(gort_core INTERFACE
  $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_sources(gort PUBLIC FILE_SET HEADERS BASE_DIRS ${CMAKE_CURRENT_SOURCE_DIR}/include
  FILES ${gort_public_headers})
target_sources(gort PUBLIC FILE_SET boost_headers TYPE HEADERS BASE_DIRS ${CMAKE_CURRENT_SOURCE_DIR}/include
  FILES ${gort_boost_headers})
set_target_properties(gort PROPERTIES
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
  VERIFY_INTERFACE_HEADER_SETS ON INTERFACE_HEADER_SETS_TO_VERIFY HEADERS)
target_compile_features(gort PUBLIC cxx_std_20)

# What every consumer inherits, each with its reason:
#   -fstack-clash-protection   a frame larger than the guard would jump over it into a neighbour's stack
#   -fno-omit-frame-pointer    cheap and complete tracebacks
#   -g1 in Release             file:line in panics and dumps; consumers with their own -g are left alone
#   -z now                     a stopped thread may hold the dynamic linker's lock
set(GORT_CONSUMER_OPTIONS -fno-omit-frame-pointer -fstack-clash-protection)
target_compile_options(gort INTERFACE
  "$<$<COMPILE_LANGUAGE:C,CXX>:${GORT_CONSUMER_OPTIONS}>"
  "$<$<AND:$<COMPILE_LANGUAGE:C,CXX>,$<CONFIG:Release,MinSizeRel>>:-g1>")
target_link_options(gort INTERFACE LINKER:-z,now)
if(BUILD_SHARED_LIBS)
  # A dlclose would take code away under running threads.
  target_link_options(gort PRIVATE LINKER:-z,nodelete LINKER:-z,now LINKER:--no-undefined)
endif()
target_link_libraries(gort PUBLIC Threads::Threads)
target_link_libraries(gort_core INTERFACE Threads::Threads)

# Internals for our own tests: src/ in the include path, hidden symbols reachable because the link is static.
add_library(gort_internal INTERFACE)
target_link_libraries(gort_internal INTERFACE gort gort_flags)
target_include_directories(gort_internal INTERFACE ${CMAKE_CURRENT_SOURCE_DIR}/src)
