// SPDX-License-Identifier: Apache-2.0
// What the GoogleTest programs precompile (cmake/GortTests.cmake).
#pragma once
#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "pch.hpp"
