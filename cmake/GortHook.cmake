# SPDX-License-Identifier: Apache-2.0
#
# gort_hook: libgort_hook.so (src/hook), always a shared object: what it hides stands in other shared objects. It shares
# headers with the runtime but no code: the two meet at boot (src/sched/hook_table.hpp). No C++ library: it is preloaded
# into C programs too.

file(GLOB gort_hook_sources CONFIGURE_DEPENDS src/hook/*.cpp)
add_library(gort_hook SHARED ${gort_hook_sources})
add_library(gort::hook ALIAS gort_hook)
target_link_libraries(gort_hook PRIVATE $<BUILD_INTERFACE:gort_flags> INTERFACE gort)
target_include_directories(gort_hook PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/src ${CMAKE_CURRENT_SOURCE_DIR}/include)
target_compile_options(gort_hook PRIVATE -fno-exceptions -fno-rtti -fno-threadsafe-statics -fno-builtin -U_FORTIFY_SOURCE)
target_link_options(gort_hook PRIVATE LINKER:-z,nodelete LINKER:-z,now LINKER:--as-needed
  $<$<NOT:$<BOOL:${GORT_SANITIZE}>>:LINKER:--no-undefined>)
target_link_libraries(gort_hook PRIVATE ${CMAKE_DL_LIBS})
set_target_properties(gort_hook PROPERTIES EXPORT_NAME hook CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
# A program need not name a hooked function itself, so the linker may not leave the library out.
target_link_options(gort_hook INTERFACE LINKER:--no-as-needed)
