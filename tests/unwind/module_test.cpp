// SPDX-License-Identifier: Apache-2.0
// Which module an address is in: executable, libraries that come and go, vDSO, and without the loader's help.
#include "unwind/module.hpp"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/auxv.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "unwind/dwarf.hpp"
#include "unwind/symfile.hpp"
#include "unwind/symtab.hpp"

namespace {

using namespace gort::rt;

uintptr here() { return reinterpret_cast<uintptr>(&here); }

TEST(Module, TheMapsScanFindsWhatTheLoaderSays) {
  for (const uintptr pc : {here(), reinterpret_cast<uintptr>(&qsort)}) {
    const Module* a = findModule(pc);
    const Module* b = findModuleFromMaps(pc);
    ASSERT_NE(a, nullptr);
    ASSERT_NE(b, nullptr);
    EXPECT_EQ(a->bias, b->bias);
    EXPECT_EQ(a->map.lo, b->map.lo);
    EXPECT_EQ(a->ehFrameHdr, b->ehFrameHdr);
    EXPECT_TRUE(b->isExec(pc));
  }
}

TEST(Module, DataAndWildAddressesAreInNone) {
  int local = 0;
  EXPECT_EQ(findModule(reinterpret_cast<uintptr>(&local)), nullptr);
  EXPECT_EQ(findModule(0), nullptr);
  EXPECT_EQ(findModule(~uintptr{0}), nullptr);
  EXPECT_EQ(findModuleFromMaps(reinterpret_cast<uintptr>(&local)), nullptr);
}

TEST(Module, TheKernelsCodePageHasNamesAndUnwindTable) {
  const uintptr base = getauxval(AT_SYSINFO_EHDR);
  if (base == 0) GTEST_SKIP() << "no vDSO";
  Module* m = findModule(base);
  ASSERT_NE(m, nullptr);
  EXPECT_NE(m->ehFrameHdr, nullptr);
  const SymFile* f = symFileOf(*m);
  ASSERT_NE(f, nullptr);
  ASSERT_GT(f->nsyms, 0u);
  const char* func;
  uintptr entry;
  EXPECT_TRUE(functionAt(m->bias + f->base + f->syms[0].addr, func, entry));
}

TEST(Module, LibrariesThatTakeEachOthersPlaceAreToldApart) {
  const std::pair<const char*, const char*> libs[] = {{"libz.so.1", "zlibVersion"},
                                                      {"libbz2.so.1.0", "BZ2_bzlibVersion"},
                                                      {"liblzma.so.5", "lzma_version_string"}};
  unsigned seen = 0;
  for (int round = 0; round < 3; ++round) {
    for (const auto& [lib, symbol] : libs) {
      void* h = dlopen(lib, RTLD_NOW | RTLD_LOCAL);
      if (h == nullptr) continue;
      const auto pc = reinterpret_cast<uintptr>(dlsym(h, symbol));
      Frame f;
      ASSERT_EQ(symbolize(pc, &f, 1), 1u);
      EXPECT_STREQ(f.func, symbol);
      EXPECT_NE(strstr(moduleName(pc), std::string(lib).substr(0, 6).c_str()), nullptr) << moduleName(pc);
      ++seen;
      dlclose(h);
    }
  }
  if (seen == 0) GTEST_SKIP() << "none of the libraries is here";
}

TEST(Module, TablesMadeByManyThreadsAtOnceAreOneTable) {
  const Module* own = findModule(here());
  for (int round = 0; round < 3; ++round) {
    auto fresh = std::make_unique<Module>();
    fresh->bias = own->bias;
    fresh->map = own->map;
    for (unsigned i = 0; i < Module::kMaxExec; ++i) fresh->exec[i] = own->exec[i];
    fresh->image = own->image;
    fresh->imageSize = own->imageSize;
    fresh->path = own->path;
    const SymFile* files[4];
    uint32 lines[4] = {};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        SymFile* f = symFileOf(*fresh);
        files[t] = f;
        uint32 off;
        if (!f->offsetOf(here() - own->bias, off)) return;
        Unit* u = findUnit(*f, off);
        LineInfo l;
        if (u != nullptr && lineAt(*f, *u, off, l)) lines[t] = l.line;
        InlineStep steps[4];
        if (u != nullptr) inlinesAt(*f, *u, off, steps, 4);
      });
    }
    for (auto& t : threads) t.join();
    for (int t = 1; t < 4; ++t) {
      EXPECT_EQ(files[t], files[0]);
      EXPECT_EQ(lines[t], lines[0]);
    }
  }
}

}  // namespace
