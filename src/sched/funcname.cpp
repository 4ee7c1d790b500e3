// SPDX-License-Identifier: Apache-2.0
// A reader for the name part of Itanium-mangled symbols; contract in funcname.hpp.
// It keeps names and scopes, and only skips types and expressions, so that it needs no memory: substitutions (S_, T_) that
// stand for scopes are resolved for std:: only; others print as they were seen (a name component is remembered as a
// stretch of the input and read again).
// Rejected: __cxa_demangle (libstdc++, malloc: not in the core, not in a signal handler).
#include "sched/funcname.hpp"

namespace gort::rt {

namespace {

struct Out {
  char* buf;
  std::size_t cap;
  std::size_t n = 0;
  void put(char c) {
    if (n + 1 < cap) buf[n++] = c;
  }
  void put(const char* s) {
    while (*s != 0) put(*s++);
  }
  void put(const char* s, std::size_t len) {
    for (std::size_t i = 0; i < len; ++i) put(s[i]);
  }
};

struct OperatorName {
  char code[3];
  const char* text;
};
constexpr OperatorName kOperators[] = {
    {"nw", " new"},  {"na", " new[]"}, {"dl", " delete"}, {"da", " delete[]"}, {"aw", " co_await"}, {"ps", "+"},
    {"ng", "-"},     {"ad", "&"},      {"de", "*"},       {"co", "~"},         {"pl", "+"},         {"mi", "-"},
    {"ml", "*"},     {"dv", "/"},      {"rm", "%"},       {"an", "&"},         {"or", "|"},         {"eo", "^"},
    {"aS", "="},     {"pL", "+="},     {"mI", "-="},      {"mL", "*="},        {"dV", "/="},        {"rM", "%="},
    {"aN", "&="},    {"oR", "|="},     {"eO", "^="},      {"ls", "<<"},        {"rs", ">>"},        {"lS", "<<="},
    {"rS", ">>="},   {"eq", "=="},     {"ne", "!="},      {"lt", "<"},         {"gt", ">"},         {"le", "<="},
    {"ge", ">="},    {"ss", "<=>"},    {"nt", "!"},       {"aa", "&&"},        {"oo", "||"},        {"pp", "++"},
    {"mm", "--"},    {"cm", ","},      {"pm", "->*"},     {"pt", "->"},        {"cl", "()"},        {"ix", "[]"},
};

bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isLower(char c) { return c >= 'a' && c <= 'z'; }

// Reader: a recursive-descent parser over the symbol. `quiet` > 0: skip without printing. Every function leaves `bad` set
// when it meets something it does not know; callers then give the raw symbol.
class Reader {
 public:
  Reader(const char* s, Out& out) : p_(s), out_(out) {}

  bool encodingName() {  // <encoding>: the name; parameters are not read
    specialPrefix();
    name();
    return !bad_;
  }
  bool bareType() {
    type();
    return !bad_;
  }

 private:
  static constexpr int kMaxDepth = 64;
  struct Depth {
    explicit Depth(Reader& rd) : r(rd) {
      if (++r.depth_ > kMaxDepth) r.bad_ = true;
    }
    ~Depth() { --r.depth_; }
    Reader& r;
  };

  void put(const char* s) {
    if (quiet_ == 0) out_.put(s);
  }
  bool take(char c) {
    if (*p_ != c) return false;
    ++p_;
    return true;
  }
  bool take(char a, char b) {
    if (p_[0] != a || p_[1] != b) return false;
    p_ += 2;
    return true;
  }
  void fail() { bad_ = true; }
  void skipUntil(char c) {
    while (*p_ != 0 && *p_ != c) ++p_;
    if (!take(c)) fail();
  }

  void specialPrefix() {
    if (p_[0] == 'T' && (p_[1] == 'h' || p_[1] == 'v')) {  // thunks
      ++p_;
      skipUntil('_');
      if (*p_ == 'Z') ++p_;
    } else if (take('G', 'V') || take('T', 'W') || take('T', 'H')) {
      put("");
    }
  }

  void name() {
    Depth d(*this);
    if (bad_) return;
    if (*p_ == 'N') {
      nested();
    } else if (*p_ == 'Z') {
      local();
    } else if (p_[0] == 'S' && p_[1] != 't') {
      substitution();
      templateArgsMaybe();
    } else {
      if (take('S', 't')) put("std::");
      unqualified();
      templateArgsMaybe();
    }
  }

  // nested: N [qualifiers] prefix... E
  void nested() {
    ++p_;
    while (*p_ == 'r' || *p_ == 'V' || *p_ == 'K') ++p_;
    if (*p_ == 'R' || *p_ == 'O') ++p_;
    bool first = true;
    while (!bad_ && *p_ != 'E') {
      if (*p_ == 0) return fail();
      if (*p_ == 'I') {
        templateArgs();
        continue;
      }
      if (p_[0] == 'D' && (p_[1] == 't' || p_[1] == 'T')) {
        type();
      } else if (*p_ == 'T') {
        templateParam();
      } else {
        component(first);
      }
      first = false;
    }
    if (!bad_) ++p_;  // a bad symbol may stand at its end already
  }

  void component(bool first) {
    const std::size_t before = out_.n;
    if (!first) put("::");
    const std::size_t begin = out_.n;
    if (take('S', 't')) {
      put("std");
    } else if (*p_ == 'S') {
      substitution();
    } else {
      unqualified();
    }
    // the inline namespace of the public API is noise
    if (quiet_ == 0 && out_.n == begin + 2 && out_.buf[begin] == 'v' && out_.buf[begin + 1] == '1') out_.n = before;
  }

  void local() {  // Z <encoding> E <entity>
    ++p_;
    {
      Reader inner(p_, out_);
      inner.quiet_ = quiet_;
      inner.depth_ = depth_;
      inner.encodingName();
      if (inner.bad_) return fail();
      p_ = inner.p_;
    }
    parameters();
    if (!take('E')) return fail();
    if (take('s')) {
      discriminator();
      return;
    }
    if (take('d')) {
      while (isDigit(*p_)) ++p_;
      if (!take('_')) return fail();
    }
    put("::");
    name();
    discriminator();
  }

  void discriminator() {
    if (!take('_')) return;
    take('_');
    while (isDigit(*p_)) ++p_;
    take('_');
  }

  void parameters() {  // types up to the closing E, unprinted
    ++quiet_;
    while (!bad_ && *p_ != 0 && *p_ != 'E') type();
    --quiet_;
  }

  void unqualified() {
    if (take('L')) {
      // internal linkage: nothing to print
    }
    if (isDigit(*p_)) {
      sourceName();
    } else if (take('U', 'l')) {
      parameters();
      take('E');
      unnamedNumber();
      put("{lambda}");
    } else if (take('U', 't')) {
      unnamedNumber();
      put("{unnamed}");
    } else if (take('D', 'C')) {
      skipUntil('E');
      put("{binding}");
    } else if (*p_ == 'C' || (*p_ == 'D' && isDigit(p_[1]))) {
      structor();
    } else if (isLower(*p_)) {
      operatorName();
    } else {
      fail();
    }
    while (take('B')) {  // ABI tags
      ++quiet_;
      sourceName();
      --quiet_;
    }
  }

  void unnamedNumber() {
    while (isDigit(*p_)) ++p_;
    if (!take('_')) fail();
  }

  void structor() {
    const bool destructor = *p_++ == 'D';
    if (take('I')) {
    }
    if (!isDigit(*p_)) return fail();
    ++p_;
    put(destructor ? "~" : "");
    if (quiet_ == 0) out_.put(last_, lastLen_);
  }

  void sourceName() {
    std::size_t n = 0;
    while (isDigit(*p_) && n < 100000) n = n * 10 + static_cast<std::size_t>(*p_++ - '0');
    for (std::size_t i = 0; i < n; ++i) {
      if (p_[i] == 0) return fail();
    }
    if (n >= 10 && __builtin_memcmp(p_, "_GLOBAL__N", 10) == 0) {
      put("(anonymous namespace)");
    } else {
      if (quiet_ == 0) out_.put(p_, n);
      last_ = p_;
      lastLen_ = n;
    }
    p_ += n;
  }

  void operatorName() {
    if (take('c', 'v')) {
      put("operator ");
      type();
      return;
    }
    if (take('l', 'i')) {
      put("operator\"\" ");
      sourceName();
      return;
    }
    for (const OperatorName& o : kOperators) {
      if (p_[0] == o.code[0] && p_[1] == o.code[1]) {
        p_ += 2;
        put("operator");
        put(o.text);
        return;
      }
    }
    fail();
  }

  void templateArgsMaybe() {
    if (*p_ == 'I') templateArgs();
  }

  void templateArgs() {
    put("<...>");
    ++quiet_;
    ++p_;
    while (!bad_ && *p_ != 'E') templateArg();
    if (!bad_) ++p_;
    --quiet_;
  }

  void templateArg() {
    Depth d(*this);
    if (bad_) return;
    if (*p_ == 0) return fail();
    if (*p_ == 'L') {
      literal();
    } else if (take('X')) {
      expression();
    } else if (take('J')) {
      while (!bad_ && *p_ != 'E') templateArg();
      if (!bad_) ++p_;
    } else {
      type();
    }
  }

  void literal() {  // L <type> value E, L _Z encoding E
    ++p_;
    if (take('_', 'Z')) {
      encodingName();
      parameters();
    } else {
      type();
      while (*p_ != 0 && *p_ != 'E') ++p_;
    }
    if (!take('E')) fail();
  }

  // expression: skipped by counting the E of what was opened; enough for the expressions that appear in signatures.
  void expression() {
    int open = 1;
    while (open > 0) {
      if (*p_ == 0) return fail();
      if (isDigit(*p_)) {
        ++quiet_;
        sourceName();
        --quiet_;
        if (bad_) return;
        continue;
      }
      if (*p_ == 'E') {
        --open;
      } else if (*p_ == 'I' || *p_ == 'L' || *p_ == 'N' || *p_ == 'X' || *p_ == 'F' || *p_ == 'J') {
        ++open;
      } else if (p_[0] == 'c' && (p_[1] == 'l' || p_[1] == 'v')) {
        if (p_[1] == 'l') ++open;
        ++p_;
      } else if (isLower(p_[0]) && isLower(p_[1])) {
        ++p_;
      }
      ++p_;
    }
  }

  void templateParam() {
    ++p_;
    while (isDigit(*p_) || (*p_ >= 'A' && *p_ <= 'Z')) ++p_;
    if (!take('_')) fail();
    put("T");
  }

  void substitution() {
    ++p_;
    const char c = *p_;
    if (isLower(c)) {
      ++p_;
      static constexpr struct {
        char code;
        const char *text, *name;
      } kStd[] = {{'t', "std", "std"},
                  {'a', "std::allocator", "allocator"},
                  {'b', "std::basic_string", "basic_string"},
                  {'s', "std::string", "basic_string"},
                  {'i', "std::istream", "basic_istream"},
                  {'o', "std::ostream", "basic_ostream"},
                  {'d', "std::iostream", "basic_iostream"}};
      for (const auto& s : kStd) {
        if (s.code == c) {
          put(s.text);
          last_ = s.name;
          lastLen_ = __builtin_strlen(s.name);
          return;
        }
      }
      return fail();
    }
    while (isDigit(*p_) || (*p_ >= 'A' && *p_ <= 'Z')) ++p_;
    if (!take('_')) return fail();
    put("{..}");
  }

  void type() {
    Depth d(*this);
    if (bad_) return;
    while (*p_ == 'P' || *p_ == 'R' || *p_ == 'O' || *p_ == 'K' || *p_ == 'V' || *p_ == 'r') ++p_;
    const char c = *p_;
    if (c == 0) return fail();
    if (isLower(c)) return builtin();
    switch (c) {
      case 'F': return functionType();
      case 'A': return arrayType();
      case 'M':
        ++p_;
        type();
        return type();
      case 'T':
        if (p_[1] == 's' || p_[1] == 'u' || p_[1] == 'e') {
          p_ += 2;
          return name();
        }
        templateParam();
        return templateArgsMaybe();
      case 'D': return decltypeOrBuiltin();
      case 'U':
        ++p_;
        sourceName();
        templateArgsMaybe();
        return type();
      default: return name();
    }
  }

  void builtin() {
    static constexpr struct {
      char code;
      const char* text;
    } kBuiltins[] = {{'v', "void"},          {'w', "wchar_t"}, {'b', "bool"},           {'c', "char"},
                     {'a', "signed char"},   {'h', "unsigned char"}, {'s', "short"},    {'t', "unsigned short"},
                     {'i', "int"},           {'j', "unsigned int"},  {'l', "long"},     {'m', "unsigned long"},
                     {'x', "long long"},     {'y', "unsigned long long"}, {'n', "__int128"},
                     {'o', "unsigned __int128"}, {'f', "float"},     {'d', "double"},   {'e', "long double"},
                     {'g', "__float128"},    {'z', "..."}};
    const char c = *p_++;
    if (c == 'u') return sourceName();
    for (const auto& b : kBuiltins) {
      if (b.code == c) return put(b.text);
    }
    fail();
  }

  void functionType() {
    ++p_;
    take('Y');
    ++quiet_;
    while (!bad_ && *p_ != 'E' && *p_ != 0) {
      if ((*p_ == 'R' || *p_ == 'O') && p_[1] == 'E') ++p_;
      else type();
    }
    --quiet_;
    if (!take('E')) fail();
    put("function");
  }

  void arrayType() {
    ++p_;
    while (*p_ != 0 && *p_ != '_') ++p_;
    if (!take('_')) return fail();
    type();
    put("[]");
  }

  void decltypeOrBuiltin() {
    const char k = p_[1];
    if (k == 0) return fail();
    p_ += 2;
    switch (k) {
      case 't':
      case 'T':
        ++quiet_;
        expression();
        --quiet_;
        return put("decltype");
      case 'p': return type();
      case 'n': return put("std::nullptr_t");
      case 'i': return put("char32_t");
      case 's': return put("char16_t");
      case 'u': return put("char8_t");
      case 'a': return put("auto");
      case 'c': return put("auto");
      case 'o': return type();  // noexcept function type
      default: fail();
    }
  }

  const char* p_;
  Out& out_;
  const char* last_ = "";
  std::size_t lastLen_ = 0;
  int quiet_ = 0;
  int depth_ = 0;
  bool bad_ = false;
};

std::size_t finish(const char* symbol, Out& out, bool good) {
  if (!good) {
    out.n = 0;
    out.put(symbol);
  }
  out.buf[out.n] = 0;
  return out.n;
}

}  // namespace

std::size_t funcName(const char* symbol, char* buf, std::size_t cap) {
  Out out{buf, cap};
  if (cap == 0) return 0;
  if (symbol[0] != '_' || symbol[1] != 'Z') return finish(symbol, out, false);
  return finish(symbol, out, Reader(symbol + 2, out).encodingName());
}

std::size_t typeName(const char* symbol, char* buf, std::size_t cap) {
  Out out{buf, cap};
  if (cap == 0) return 0;
  if (*symbol == '*') ++symbol;  // type_info names with internal linkage
  return finish(symbol, out, Reader(symbol, out).bareType());
}

}  // namespace gort::rt
