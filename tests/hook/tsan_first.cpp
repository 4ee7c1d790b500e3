// SPDX-License-Identifier: Apache-2.0
// ThreadSanitizer as a shared object starts with the first library that is compiled for it; libstdc++, which is not, comes
// earlier and would call its interceptors. The program's .preinit_array runs before all libraries.
extern "C" void __tsan_init();

__attribute__((section(".preinit_array"), used)) static void (*const first)() = __tsan_init;
