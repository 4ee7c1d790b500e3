# SPDX-License-Identifier: Apache-2.0
#
# The project's own checkers (tools/).  A wrong include direction fails every build; all of them are tests of label
# "check", and each has a self test with planted violations in tests/tools.

find_package(Python3 REQUIRED COMPONENTS Interpreter)

file(GLOB_RECURSE gort_all_sources CONFIGURE_DEPENDS src/*.cpp src/*.hpp include/gort/*.hpp)
add_custom_command(OUTPUT layers.stamp
  COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/layers.py ${PROJECT_SOURCE_DIR}
  COMMAND ${CMAKE_COMMAND} -E touch layers.stamp
  DEPENDS ${gort_all_sources} docs/layers.dag tools/layers.py tools/cxx.py
  COMMENT "Checking the include direction (docs/layers.dag)")
add_custom_target(check_layers ALL DEPENDS layers.stamp)

if(NOT GORT_TESTS OR GORT_SANITIZE OR GORT_DEBUG OR BUILD_SHARED_LIBS)
  return()  # they judge the sources and the optimised core: once per compiler is enough
endif()

function(gort_add_check name)
  add_test(NAME check.${name} COMMAND ${Python3_EXECUTABLE} ${ARGN} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(check.${name} PROPERTIES TIMEOUT 300 LABELS check SKIP_RETURN_CODE 77)
endfunction()

set(tools ${PROJECT_SOURCE_DIR}/tools)
gort_add_check(layers ${tools}/layers.py)
gort_add_check(left_out ${tools}/left_out.py)
gort_add_check(locks ${tools}/locks.py)
gort_add_check(tidy ${tools}/tidy.py)
gort_add_check(object_notes ${tools}/object_notes.py $<TARGET_FILE:gort>)
gort_add_check(libc ${tools}/libc_allow.py $<TARGET_FILE:gort_core>)
set(linked ${CMAKE_CURRENT_BINARY_DIR}/core_freestanding)
gort_add_check(freestanding ${tools}/freestanding.py --cc ${CMAKE_C_COMPILER} --archive $<TARGET_FILE:gort_core>
  --main ${PROJECT_SOURCE_DIR}/tests/freestanding/main.c --out ${linked})
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set(su --su ${CMAKE_CURRENT_BINARY_DIR}/CMakeFiles/gort_core_objects.dir)
endif()
gort_add_check(dialect ${tools}/dialect.py --archive $<TARGET_FILE:gort_core> --program ${linked} ${su})
set_tests_properties(check.freestanding PROPERTIES FIXTURES_SETUP gort_core_linked)
set_tests_properties(check.dialect PROPERTIES FIXTURES_REQUIRED gort_core_linked)

file(GLOB self_tests CONFIGURE_DEPENDS tests/tools/*_test.py)
foreach(file IN LISTS self_tests)
  get_filename_component(name ${file} NAME_WE)
  gort_add_check(${name} ${file})
endforeach()
