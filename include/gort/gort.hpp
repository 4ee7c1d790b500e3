// SPDX-License-Identifier: Apache-2.0
// Everything of Gort in one include.
#pragma once
#include <gort/chan.hpp>
#include <gort/config.hpp>
#include <gort/context.hpp>
#include <gort/defer.hpp>
#include <gort/error.hpp>
#include <gort/go.hpp>
#include <gort/io.hpp>
#include <gort/net.hpp>
#include <gort/os.hpp>
#include <gort/runtime.hpp>
#include <gort/select.hpp>
#include <gort/signal.hpp>
#include <gort/sim.hpp>
#include <gort/sync.hpp>
#include <gort/time.hpp>
#include <gort/timer.hpp>
