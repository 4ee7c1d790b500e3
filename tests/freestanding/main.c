// SPDX-License-Identifier: Apache-2.0
// A C program with the whole core in it and no C++ library: tools/freestanding.py links it with the C compiler.
#include <stdio.h>

extern const char gort_version_string[];

int main(void) {
  puts(gort_version_string);
  return 0;
}
