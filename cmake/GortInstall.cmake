# SPDX-License-Identifier: Apache-2.0
#
# Install rules: headers, libgort, the CMake package gort (target gort::gort) and gort.pc.  The static package also
# carries libgort_core.a (target gort::core) for programs without a C++ library.
include(CMakePackageConfigHelpers)

set(gort_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/gort)
set(gort_installed gort gort_hook)
set_target_properties(gort_core PROPERTIES EXPORT_NAME core)
if(NOT BUILD_SHARED_LIBS)
  list(APPEND gort_installed gort_core)
endif()
install(TARGETS ${gort_installed} EXPORT gort FILE_SET HEADERS FILE_SET boost_headers
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT gort NAMESPACE gort:: FILE gortTargets.cmake DESTINATION ${gort_cmake_dir})
configure_package_config_file(cmake/gortConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/gortConfig.cmake
  INSTALL_DESTINATION ${gort_cmake_dir})
# 0.x: the interface may change with every minor version.
write_basic_package_version_file(gortConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/gortConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/gortConfigVersion.cmake
  DESTINATION ${gort_cmake_dir})

# Relative to the .pc file, so that an installed tree may be moved.
file(RELATIVE_PATH gort_pc_prefix /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
list(JOIN GORT_CONSUMER_OPTIONS " " gort_pc_cflags)
configure_file(cmake/gort.pc.in gort.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/gort.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
