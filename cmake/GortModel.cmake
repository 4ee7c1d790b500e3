# SPDX-License-Identifier: Apache-2.0
#
# The model build: no library, only tests/model with GORT_MODEL=1 (atomics come from the explorer).
# *_model.cpp are programs that share the other files.  ./dev models (tests/model/run.py) also runs the mutations, which
# must make a model fail, and the Spin models.

file(GLOB model_files CONFIGURE_DEPENDS tests/model/*.cpp)
file(GLOB model_programs CONFIGURE_DEPENDS tests/model/*_model.cpp)
set(model_shared ${model_files})
list(REMOVE_ITEM model_shared ${model_programs})
foreach(file IN LISTS model_programs)
  get_filename_component(name ${file} NAME_WE)
  add_executable(${name} ${file} ${model_shared})
  target_link_libraries(${name} PRIVATE gort_flags Threads::Threads)
  target_compile_definitions(${name} PRIVATE GORT_MODEL=1)
  target_include_directories(${name} PRIVATE src include tests)
  add_test(NAME model.${name} COMMAND ${name})
  set_tests_properties(model.${name} PROPERTIES TIMEOUT 600 LABELS model)
endforeach()
