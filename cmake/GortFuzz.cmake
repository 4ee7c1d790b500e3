# SPDX-License-Identifier: Apache-2.0
#
# fuzz/*_fuzz.cpp: a libFuzzer program each, against an instrumented core.  ./dev fuzz runs them.
file(GLOB fuzz_files CONFIGURE_DEPENDS fuzz/*_fuzz.cpp)
foreach(file IN LISTS fuzz_files)
  get_filename_component(name ${file} NAME_WE)
  string(REGEX REPLACE "_fuzz$" "" name ${name})
  add_executable(fuzz_${name} ${file})
  target_link_libraries(fuzz_${name} PRIVATE gort_core gort_flags)
  target_include_directories(fuzz_${name} PRIVATE src)
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
endforeach()
