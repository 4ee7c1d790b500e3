// SPDX-License-Identifier: Apache-2.0
// Whether a sanitizer watches this build, by either compiler's way of telling. For assembler sources too.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define GORT_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define GORT_TSAN 1
#endif
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GORT_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define GORT_TSAN 1
#endif
#endif
#ifndef GORT_ASAN
#define GORT_ASAN 0
#endif
#ifndef GORT_TSAN
#define GORT_TSAN 0
#endif
#define GORT_SANITIZED (GORT_ASAN || GORT_TSAN)
