// SPDX-License-Identifier: Apache-2.0
// The demangler against c++filt on every symbol at hand, and against damaged input.
#include "unwind/demangle.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace {

using gort::rt::demangle;
using gort::rt::demangleOr;
using gort::rt::DemangleStyle;

std::string full(const std::string& s) {
  static char buf[65536];
  demangleOr(s.c_str(), buf, sizeof buf, DemangleStyle::kFull);
  return buf;
}

std::string trace(const std::string& s) {
  static char buf[4096];
  demangleOr(s.c_str(), buf, sizeof buf, DemangleStyle::kTrace);
  return buf;
}

std::vector<std::string> lines(const std::string& command) {
  std::vector<std::string> v;
  FILE* p = popen(command.c_str(), "r");
  char* line = nullptr;
  size_t cap = 0;
  for (ssize_t n; p != nullptr && (n = getline(&line, &cap, p)) > 0;) {
    v.emplace_back(line, static_cast<size_t>(line[n - 1] == '\n' ? n - 1 : n));
  }
  free(line);
  if (p != nullptr) pclose(p);
  return v;
}

std::vector<std::string> symbolsOf(const std::string& file, const char* flags) {
  std::set<std::string> s;
  for (const std::string& l : lines("nm " + std::string(flags) + " " + file + " 2>/dev/null")) {
    std::string name = l.substr(l.rfind(' ') + 1);
    name = name.substr(0, name.find('@'));
    if (name.compare(0, 2, "_Z") == 0) s.insert(name);
  }
  return {s.begin(), s.end()};
}

std::vector<std::string> cxxfilt(const std::vector<std::string>& in) {
  const std::string path = testing::TempDir() + "filt." + std::to_string(getpid());
  std::ofstream f(path);
  for (const std::string& s : in) f << s << "\n";
  f.close();
  auto out = lines("c++filt < " + path);
  unlink(path.c_str());
  return out;
}

void compareWithCxxfilt(const std::vector<std::string>& symbols, const char* what) {
  const auto expect = cxxfilt(symbols);
  ASSERT_EQ(expect.size(), symbols.size());
  size_t equal = 0, shown = 0;
  for (size_t i = 0; i < symbols.size(); ++i) {
    const std::string got = full(symbols[i]);
    equal += got == expect[i];
    if (got != expect[i] && ++shown <= 5) {
      printf("%s\n  ours:    %s\n  c++filt: %s\n", symbols[i].c_str(), got.c_str(), expect[i].c_str());
    }
  }
  printf("%s: %zu of %zu equal to c++filt (%.2f %%)\n", what, equal, symbols.size(),
         symbols.empty() ? 100.0 : 100.0 * static_cast<double>(equal) / static_cast<double>(symbols.size()));
  EXPECT_GE(equal * 100, symbols.size() * 99);
}

bool toolsAreHere() {
  return std::system("c++filt --version > /dev/null 2>&1") == 0 &&
         std::system("nm --version > /dev/null 2>&1") == 0;
}

TEST(Demangle, EverySymbolOfLibstdcxx) {
  if (!toolsAreHere()) GTEST_SKIP() << "no binutils";
  const auto lib = lines("ldconfig -p 2>/dev/null | sed -n 's/.*libstdc++.so.6 .*=> //p' | head -1");
  const std::string path = lib.empty() ? "/usr/lib/x86_64-linux-gnu/libstdc++.so.6" : lib[0];
  compareWithCxxfilt(symbolsOf(path, "-D"), "libstdc++");
}

TEST(Demangle, EverySymbolOfThisProgram) {
  if (!toolsAreHere()) GTEST_SKIP() << "no binutils";
  compareWithCxxfilt(symbolsOf("/proc/" + std::to_string(getpid()) + "/exe", ""), "test program");
}

TEST(Demangle, HardNames) {
  const std::pair<const char*, const char*> cases[] = {
      {"_Z3foov", "foo()"},
      {"_ZN2ns3barEiPKc", "ns::bar(int, char const*)"},
      {"_ZN12_GLOBAL__N_11fEv", "(anonymous namespace)::f()"},
      {"_Z1fPFvPFivEE", "f(void (*)(int (*)()))"},
      {"_Z1fRA3_KiM1SFivEMS2_c", "f(int const (&) [3], int (S::*)(), char S::*)"},
      {"_ZNK1ScviEv", "S::operator int() const"},
      {"_ZN1ScvT_IiEEv", "S::operator int<int>()"},
      {"_ZZ1fvENKUliE_clEi", "f()::{lambda(int)#1}::operator()(int) const"},
      {"_ZZ1fIiEvT_ENKUlS0_E0_clEi", "f<int>(int)::{lambda(int)#2}::operator()(int) const"},
      {"_ZZ1fvENKUlT_E_clIiEEDaS_", "auto f()::{lambda(auto:1)#1}::operator()<int>(int) const"},
      {"_ZZ1fvENKUlRKT_E_clIiEEDaS1_",
       "auto f()::{lambda(auto:1 const&)#1}::operator()<int>(int const&) const"},
      {"_Z1fIJicEEvDpT_", "void f<int, char>(int, char)"},
      {"_Z1fIJEEvDpT_", "void f<>()"},
      {"_Z1gB5cxx11v", "g[abi:cxx11]()"},
      {"_ZlsRSoRK1S", "operator<<(std::basic_ostream<char, std::char_traits<char> >&, S const&)"},
      {"_ZN1S3fooEv.constprop.0.isra.1", "S::foo() [clone .constprop.0] [clone .isra.1]"},
      {"_ZTV1S", "vtable for S"},
      {"_ZThn16_N1S1fEv", "non-virtual thunk to S::f()"},
      {"_ZGVZ1fvE1x", "guard variable for f()::x"},
      {"_Z1fIiEDTplfp_Li1EET_", "decltype ({parm#1}+(1)) f<int>(int)"},
      {"_Z1fILb1Evv", nullptr},
      {"_Z1fILb1ELc97ELin5EEvv", "void f<true, (char)97, -5>()"},
      {"_ZN1SC1ERKS_", "S::S(S const&)"},
      {"_ZN1SD0Ev", "S::~S()"},
      {"_Zli2_xPKc", "operator\"\" _x(char const*)"},
      {"_Z1fU8__vectorf", "f(float __vector)"},
      {"_Z1fDv4_f", "f(float __vector(4))"},
      {"_Z1fIXadL_Z1gvEEEvv", "void f<&(g())>()"},
      {"_Z1fDoFvvE", "f(void () noexcept)"},
  };
  for (const auto& [in, out] : cases) {
    char buf[512];
    const size_t n = demangle(in, buf, sizeof buf, DemangleStyle::kFull);
    if (out == nullptr) {
      EXPECT_EQ(n, 0u) << in << " " << buf;
    } else {
      EXPECT_STREQ(buf, out) << in;
      EXPECT_EQ(n, strlen(out));
    }
  }
}

TEST(Demangle, TraceStyleIsShort) {
  EXPECT_EQ(trace("_ZN2ns3barEiPKc"), "ns::bar");
  EXPECT_EQ(trace("_ZZ1fvENKUliE_clEi"), "f::{lambda#1}");
  EXPECT_EQ(trace("_ZZN2ns1gIiEEvT_ENKUlvE0_clEv.constprop.0"), "ns::g<int>::{lambda#2}");
  EXPECT_EQ(trace("_ZNKSt6vectorISsSaISsEE4sizeEv"),
            "std::vector<std::string, std::allocator<std::string>>::size");
  EXPECT_EQ(trace("_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE6appendEPKc"),
            "std::basic_string<char, std::char_traits<char>, std::allocator<char>>::append");
  EXPECT_EQ(trace("_ZN1SC2Ei"), "S::S");
  const std::string longArg(90, 'x');
  EXPECT_EQ(trace("_Z1fI90" + longArg + "EvT_"), "f<...>");
  EXPECT_EQ(trace("main"), "main");
}

TEST(Demangle, BufferThatIsTooSmall) {
  char buf[8] = "garbage";
  EXPECT_EQ(demangle("_ZN2ns3barEiPKc", buf, sizeof buf, DemangleStyle::kFull), 0u);
  EXPECT_STREQ(buf, "");
  EXPECT_EQ(demangleOr("_ZN2ns3barEiPKc", buf, sizeof buf, DemangleStyle::kFull), 7u);
  EXPECT_STREQ(buf, "_ZN2ns3");
  EXPECT_EQ(demangle("_Z3foov", buf, 6, DemangleStyle::kFull), 5u);
  EXPECT_EQ(demangle("_Z3foov", buf, 5, DemangleStyle::kFull), 0u);
  EXPECT_EQ(demangle("_Z3foov", buf, 0, DemangleStyle::kFull), 0u);
}

TEST(Demangle, DamagedNamesNeitherCrashNorHang) {
  const auto own = symbolsOf("/proc/" + std::to_string(getpid()) + "/exe", "");
  static char buf[16384];
  std::mt19937 rnd(7);
  size_t inputs = 0, shown = 0;
  for (size_t i = 0; i < own.size() && i < 3000; ++i) {
    const std::string& s = own[i];
    for (size_t n = 1; n < s.size(); n += 1 + n / 8, ++inputs) {
      shown += demangle(s.substr(0, n).c_str(), buf, sizeof buf, DemangleStyle::kFull) != 0;
    }
    for (int k = 0; k < 8; ++k, ++inputs) {
      std::string t = s;
      for (int m = 0; m <= k % 3; ++m) {
        static const char kBytes[] = "0123456789_ESTNZKLIJXDFUAMPRCBsclvdpT\xff.";
        t[rnd() % t.size()] = kBytes[rnd() % (sizeof kBytes - 1)];
      }
      if (k % 2 != 0) t.insert(2 + rnd() % (t.size() - 1), s.substr(rnd() % s.size(), rnd() % 20));
      shown += demangle(t.c_str(), buf, sizeof buf,
                        k % 2 != 0 ? DemangleStyle::kFull : DemangleStyle::kTrace) != 0;
    }
  }
  printf("%zu damaged names, %zu still readable\n", inputs, shown);
}

TEST(Demangle, NamesBuiltToExplode) {
  static char buf[1 << 16];
  std::string nested = "_Z1f";
  for (int i = 0; i < 5000; ++i) nested += 'P';
  EXPECT_EQ(demangle((nested + "i").c_str(), buf, sizeof buf, DemangleStyle::kFull), 0u);
  // Each substitution doubles the text.
  std::string doubling = "_Z1f1AIiiE";
  for (int i = 1; i < 30; ++i) doubling += "1AIS" + std::string(1, static_cast<char>('0' + i % 10)) + "_S0_E";
  demangle(doubling.c_str(), buf, sizeof buf, DemangleStyle::kFull);
  demangle("_Z1fIJDpDpDpDpDpT_EEvv", buf, sizeof buf, DemangleStyle::kFull);
  demangle("_ZN1ScvT_IT_EEv", buf, sizeof buf, DemangleStyle::kFull);
  demangle("_Z", buf, sizeof buf, DemangleStyle::kFull);
  demangle("", buf, sizeof buf, DemangleStyle::kFull);
}

}  // namespace
