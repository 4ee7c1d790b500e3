// SPDX-License-Identifier: Apache-2.0
// Parser of the Itanium C++ ABI's mangling (chapter 5.1): recursive descent, mostly one character of
// lookahead.
// Parameters: T_ is resolved while parsing: it means an argument of the innermost encoding's name, known by
//             then. Two exceptions: the type of a conversion operator, whose T_ are patched when the name is
//             complete, and substitutions that cross encodings (rescope).
// Where the ABI leaves freedom the output is that of c++filt 2.40.
#include "unwind/demangle.hpp"

#include "unwind/demangle_tree.hpp"

namespace gort::rt {

namespace demangler {

const OperatorInfo kOperators[] = {
    {"aN", "&=", 2},          {"aS", "=", 2},
    {"aa", "&&", 2},          {"ad", "&", 1},
    {"an", "&", 2},           {"at", "alignof ", 1},
    {"aw", "co_await ", 1},   {"az", "alignof ", 1},
    {"cc", "const_cast", 2},  {"cl", "()", 2},
    {"cm", ",", 2},           {"co", "~", 1},
    {"dV", "/=", 2},          {"dX", "[...]=", 3},
    {"da", "delete[] ", 1},   {"dc", "dynamic_cast", 2},
    {"de", "*", 1},           {"di", "=", 2},
    {"dl", "delete ", 1},     {"ds", ".*", 2},
    {"dt", ".", 2},           {"dv", "/", 2},
    {"dx", "]=", 2},          {"eO", "^=", 2},
    {"eo", "^", 2},           {"eq", "==", 2},
    {"fL", "...", 3},         {"fR", "...", 3},
    {"fl", "...", 2},         {"fr", "...", 2},
    {"ge", ">=", 2},          {"gs", "::", 1},
    {"gt", ">", 2},           {"ix", "[]", 2},
    {"lS", "<<=", 2},         {"le", "<=", 2},
    {"ls", "<<", 2},          {"lt", "<", 2},
    {"mI", "-=", 2},          {"mL", "*=", 2},
    {"mi", "-", 2},           {"ml", "*", 2},
    {"mm", "--", 1},          {"na", "new[]", 3},
    {"ne", "!=", 2},          {"ng", "-", 1},
    {"nt", "!", 1},           {"nw", "new", 3},
    {"nx", "noexcept", 1},    {"oR", "|=", 2},
    {"oo", "||", 2},          {"or", "|", 2},
    {"pL", "+=", 2},          {"pl", "+", 2},
    {"pm", "->*", 2},         {"pp", "++", 1},
    {"ps", "+", 1},           {"pt", "->", 2},
    {"qu", "?", 3},           {"rM", "%=", 2},
    {"rS", ">>=", 2},         {"rc", "reinterpret_cast", 2},
    {"rm", "%", 2},           {"rs", ">>", 2},
    {"sP", "sizeof...", 1},   {"sZ", "sizeof...", 1},
    {"sc", "static_cast", 2}, {"ss", "<=>", 2},
    {"st", "sizeof ", 1},     {"sz", "sizeof ", 1},
    {"tr", "throw", 0},       {"tw", "throw ", 1},
};
const unsigned kOperatorCount = sizeof kOperators / sizeof kOperators[0];

const StdSub kStdSubs[] = {
    {'a', "std::allocator", "std::allocator", kTextAllocator},
    {'b', "std::basic_string", "std::basic_string", kTextBasicString},
    {'s', "std::string", "std::basic_string<char, std::char_traits<char>, std::allocator<char> >",
     kTextBasicString},
    {'i', "std::istream", "std::basic_istream<char, std::char_traits<char> >", kTextIstream},
    {'o', "std::ostream", "std::basic_ostream<char, std::char_traits<char> >", kTextOstream},
    {'d', "std::iostream", "std::basic_iostream<char, std::char_traits<char> >", kTextIostream},
};

// From kTextBuiltins on: the types a..z, then those of the form D?.
const char* const kTexts[] = {
    "std",
    "(anonymous namespace)",
    "allocator",
    "basic_string",
    "basic_istream",
    "basic_ostream",
    "basic_iostream",
    "string literal",
    "signed char",
    "bool",
    "char",
    "double",
    "long double",
    "float",
    "__float128",
    "unsigned char",
    "int",
    "unsigned int",
    nullptr,
    "long",
    "unsigned long",
    "__int128",
    "unsigned __int128",
    nullptr,
    nullptr,
    nullptr,
    "short",
    "unsigned short",
    nullptr,
    "void",
    "wchar_t",
    "long long",
    "unsigned long long",
    "...",
    "decltype(nullptr)",
    "char32_t",
    "char16_t",
    "char8_t",
    "auto",
    "decltype(auto)",
    "decimal32",
    "decimal64",
    "decimal128",
    "half",
};
constexpr char kDTypes[] = "nisuacfdeh";
static_assert(sizeof kTexts / sizeof kTexts[0] == kTextBuiltins + 26 + sizeof kDTypes - 1);

const char* const kSpecials[] = {
    "vtable for ",
    "VTT for ",
    "typeinfo for ",
    "typeinfo name for ",
    "typeinfo fn for ",
    "construction vtable for ",
    "non-virtual thunk to ",
    "virtual thunk to ",
    "covariant return thunk to ",
    "TLS init function for ",
    "TLS wrapper function for ",
    "guard variable for ",
    "template parameter object for ",
    "transaction clone for ",
    "non-transaction clone for ",
    "hidden alias for ",
};
enum SpecialIndex : uint8 {
  kVtable,
  kVtt,
  kTypeinfo,
  kTypeinfoName,
  kTypeinfoFn,
  kConstructionVtable,
  kThunk,
  kVirtualThunk,
  kCovariantThunk,
  kTlsInit,
  kTlsWrapper,
  kGuard,
  kTemplateObject,
  kTxClone,
  kNonTxClone,
  kHiddenAlias
};

namespace {

constexpr unsigned kSubs = 320, kParams = 160, kForwards = 16, kMaxDepth = 48;

// What the name of an encoding turned out to be.
struct NameState {
  bool isTemplate = false;    // ends with template arguments
  bool noReturnType = false;  // constructor, destructor, conversion
  uint8 thisQual = 0;
};

bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isLower(char c) { return c >= 'a' && c <= 'z'; }
bool isUpper(char c) { return c >= 'A' && c <= 'Z'; }

class Parser {
 public:
  Parser(Tree& t, const char* s, unsigned n) : t_(t), s_(s), n_(n) {}
  Ref symbol();

 private:
  // ---- text and nodes ----
  char peek(unsigned ahead = 0) const { return p_ + ahead < n_ ? s_[p_ + ahead] : 0; }
  bool eat(char c) {
    if (peek() != c) return false;
    ++p_;
    return true;
  }
  bool eat2(char a, char b) {
    if (peek() != a || peek(1) != b) return false;
    p_ += 2;
    return true;
  }
  Ref make(Kind k, Ref a = 0, Ref b = 0, Ref c = 0, uint8 flag = 0) {
    if (t_.n == Tree::kNodes) return 0;
    t_.nodes[t_.n] = Node{k, flag, a, b, c};
    return static_cast<Ref>(t_.n++);
  }
  Ref text(Ref i) { return make(Kind::kText, i); }
  // wrap makes a node around a child that must be there.
  Ref wrap(Kind k, Ref a, Ref b = 0, uint8 flag = 0) { return a == 0 ? 0 : make(k, a, b, 0, flag); }
  Ref addSub(Ref r) {
    if (r == 0 || nsubs_ == kSubs) return 0;
    subs_[nsubs_++] = r;
    return r;
  }
  bool number(unsigned& v);
  bool seqId(unsigned& v);
  bool compact(unsigned& v);

  // ListBuilder appends to a cons list.
  struct ListBuilder {
    Ref head = 0, tail = 0;
    bool add(Parser& p, Ref item) {
      const Ref cell = item == 0 ? 0 : p.make(Kind::kList, item);
      if (cell == 0) return false;
      if (head == 0) {
        head = cell;
      } else {
        p.t_.nodes[tail].b = cell;
      }
      tail = cell;
      return true;
    }
  };

  // ---- names ----
  Ref encoding(NameState* outer);
  Ref special();
  Ref thunk();
  Ref name(NameState* st);
  Ref nested(NameState* st);
  Ref prefix(NameState* st);
  Ref prefixPart(NameState* st, Ref soFar, bool& isSub);
  Ref local(NameState* st);
  Ref unqualified(NameState* st);
  Ref sourceName();
  Ref operatorName(NameState* st);
  Ref ctorDtor(NameState* st);
  Ref closure();
  Ref abiTags(Ref r);
  Ref substitution(bool inPrefix);
  Ref templateArgs(bool tag);
  Ref templateArg();
  Ref templateParam();
  Ref paramAt(unsigned i);
  Ref rescope(Ref r, unsigned& fuel);
  void discriminator();
  bool callOffset();
  bool knownOperator(unsigned& i) const;

  // ---- types ----
  Ref type();
  Ref typeInner(bool& substitutable);
  Ref qualifiedType();
  Ref typeD(bool& substitutable);
  Ref typeS(bool& substitutable);
  Ref typeT();
  Ref functionType(uint8 flags);
  Ref maybeFunctionPrefix();
  Ref bareFunction(bool hasReturn, char end);
  Ref arrayType();
  Ref vectorType();
  uint8 cvQualifiers();

  // ---- expressions ----
  Ref expression();
  Ref expressionInner();
  Ref primary();
  Ref list(char end);
  Ref unresolved();
  Ref functionParam();
  Ref fold(unsigned op);
  Ref operatorExpression();
  Ref unaryExpression(Ref op, unsigned i);
  Ref binaryExpression(Ref op, unsigned i);
  Ref newExpression(bool array);
  Ref memberName();

  struct Depth {
    unsigned& d;
    explicit Depth(unsigned& x) : d(x) { ++d; }
    ~Depth() { --d; }
  };

  Tree& t_;
  const char* s_;
  unsigned n_;
  unsigned p_ = 0;
  unsigned depth_ = 0;
  Ref lastName_ = 0;
  Ref subs_[kSubs];
  unsigned nsubs_ = 0;
  Ref params_[kParams];
  unsigned paramBase_ = 0, paramEnd_ = 0;
  Ref forwards_[kForwards];
  unsigned nforwards_ = 0;
  bool permitForward_ = false;
  unsigned lambdaDepth_ = 0;
};

bool Parser::number(unsigned& v) {
  if (!isDigit(peek())) return false;
  v = 0;
  while (isDigit(peek())) {
    if (v > 100000) return false;
    v = v * 10 + static_cast<unsigned>(s_[p_++] - '0');
  }
  return true;
}

// seqId reads the base-36 number of a substitution up to '_': nothing is 0, "0" is 1.
bool Parser::seqId(unsigned& v) {
  v = 0;
  if (eat('_')) return true;
  while (peek() != '_') {
    const char c = peek();
    if (!isDigit(c) && !isUpper(c)) return false;
    v = v * 36 + static_cast<unsigned>(isDigit(c) ? c - '0' : c - 'A' + 10);
    if (v > 100000) return false;
    ++p_;
  }
  ++p_;
  ++v;
  return true;
}

// compact reads "_" as 0 and "<n>_" as n+1.
bool Parser::compact(unsigned& v) {
  v = 0;
  if (eat('_')) return true;
  if (!number(v)) return false;
  ++v;
  return eat('_');
}

// ---- whole symbols ----

Ref Parser::symbol() {
  if (!eat2('_', 'Z')) return 0;
  Ref r = encoding(nullptr);
  while (r != 0 && peek() == '.' && (isLower(peek(1)) || isDigit(peek(1)) || peek(1) == '_')) {
    const unsigned start = p_;
    p_ += 2;
    while (isLower(peek()) || isDigit(peek()) || peek() == '_') ++p_;
    while (peek() == '.' && isDigit(peek(1))) {
      p_ += 2;
      while (isDigit(peek())) ++p_;
    }
    r = make(Kind::kClone, r, static_cast<Ref>(start), static_cast<Ref>(p_ - start));
  }
  return p_ == n_ ? r : 0;
}

// encoding parses a function or an object. `outer` non-null: it is the function part of a local name.
Ref Parser::encoding(NameState* outer) {
  if (peek() == 'G' || peek() == 'T') return special();
  const Depth d(depth_);
  if (depth_ > kMaxDepth) return 0;
  const unsigned base = paramBase_, end = paramEnd_, forwards = nforwards_;
  paramBase_ = paramEnd_;
  NameState st;
  Ref r = name(&st);
  for (unsigned i = forwards; i < nforwards_ && r != 0; ++i) {
    Node& f = t_.nodes[forwards_[i]];
    if (f.b < paramEnd_ - paramBase_) {
      f.a = params_[paramBase_ + f.b];
    } else {
      r = 0;
    }
  }
  nforwards_ = forwards;
  if (r != 0 && peek() != 0 && peek() != 'E' && peek() != '.') {
    const Ref f = bareFunction(st.isTemplate && !st.noReturnType, outer != nullptr ? 'E' : 0);
    if (f != 0 && outer != nullptr)
      t_.nodes[f].a = 0;  // c++filt drops the return type of a function around a local name
    r = f == 0 ? 0 : make(Kind::kFunction, r, f, 0, st.thisQual);
  }
  paramBase_ = base;
  paramEnd_ = end;
  return r;
}

bool Parser::callOffset() {
  auto signedNumber = [&] {
    unsigned v;
    eat('n');
    return number(v) && eat('_');
  };
  if (eat('h')) return signedNumber();
  if (eat('v')) return signedNumber() && signedNumber();
  return false;
}

Ref Parser::thunk() {
  if (peek() == 'h' || peek() == 'v') {
    const bool isVirtual = peek() == 'v';
    return callOffset() ? wrap(Kind::kSpecial, encoding(nullptr), 0, isVirtual ? kVirtualThunk : kThunk) : 0;
  }
  if (!eat('c') || !callOffset() || !callOffset()) return 0;
  return wrap(Kind::kSpecial, encoding(nullptr), 0, kCovariantThunk);
}

Ref Parser::special() {
  const char a = s_[p_++], b = peek();
  if (a == 'T') {
    switch (b) {
      case 'V':
        ++p_;
        return wrap(Kind::kSpecial, type(), 0, kVtable);
      case 'T':
        ++p_;
        return wrap(Kind::kSpecial, type(), 0, kVtt);
      case 'I':
        ++p_;
        return wrap(Kind::kSpecial, type(), 0, kTypeinfo);
      case 'S':
        ++p_;
        return wrap(Kind::kSpecial, type(), 0, kTypeinfoName);
      case 'F':
        ++p_;
        return wrap(Kind::kSpecial, type(), 0, kTypeinfoFn);
      case 'H':
        ++p_;
        return wrap(Kind::kSpecial, name(nullptr), 0, kTlsInit);
      case 'W':
        ++p_;
        return wrap(Kind::kSpecial, name(nullptr), 0, kTlsWrapper);
      case 'A':
        ++p_;
        return wrap(Kind::kSpecial, templateArg(), 0, kTemplateObject);
      case 'C': {
        ++p_;
        const Ref derived = type();
        unsigned off;
        if (derived == 0 || !number(off) || !eat('_')) return 0;
        const Ref base = type();
        return base == 0 ? 0 : make(Kind::kSpecial, base, derived, 0, kConstructionVtable);
      }
      default:
        return thunk();
    }
  }
  ++p_;
  switch (b) {
    case 'V':
      return wrap(Kind::kSpecial, name(nullptr), 0, kGuard);
    case 'A':
      return wrap(Kind::kSpecial, encoding(nullptr), 0, kHiddenAlias);
    case 'R': {
      const Ref what = name(nullptr);
      unsigned v = 0;
      if (what == 0 || (p_ != n_ && !seqId(v))) return 0;
      return make(Kind::kRefTemp, what, static_cast<Ref>(v));
    }
    case 'T':
      if (eat('n')) return wrap(Kind::kSpecial, encoding(nullptr), 0, kNonTxClone);
      eat('t');
      return wrap(Kind::kSpecial, encoding(nullptr), 0, kTxClone);
    default:
      return 0;
  }
}

// ---- names ----

Ref Parser::name(NameState* st) {
  const Depth d(depth_);
  if (depth_ > kMaxDepth) return 0;
  Ref r;
  switch (peek()) {
    case 'N':
      return nested(st);
    case 'Z':
      return local(st);
    case 'S':
      if (peek(1) != 't') {
        r = substitution(false);
        if (peek() != 'I') return r;
        break;
      }
      p_ += 2;
      r = unqualified(st);
      if (r != 0) r = make(Kind::kQualified, text(kTextStd), r);
      if (peek() == 'I') r = addSub(r);
      break;
    default:
      r = unqualified(st);
      if (peek() == 'I') r = addSub(r);
      break;
  }
  if (r == 0 || peek() != 'I') return r;
  const Ref args = templateArgs(st != nullptr);
  if (st != nullptr) st->isTemplate = true;
  return args == 0 ? 0 : make(Kind::kTemplate, r, args);
}

uint8 Parser::cvQualifiers() {
  uint8 q = 0;
  if (eat('r')) q |= kRestrict;
  if (eat('V')) q |= kVolatile;
  if (eat('K')) q |= kConst;
  return q;
}

Ref Parser::nested(NameState* st) {
  ++p_;
  uint8 q = cvQualifiers();
  if (eat('R'))
    q |= kLref;
  else if (eat('O'))
    q |= kRref;
  const Ref r = prefix(st);
  if (r == 0 || !eat('E')) return 0;
  if (st != nullptr) {
    st->thisQual = q;
    return r;
  }
  return q == 0 ? r : make(Kind::kThisQual, r, 0, 0, q);
}

// prefixPart parses one component and joins it to what stands before it.
Ref Parser::prefixPart(NameState* st, Ref soFar, bool& isSub) {
  isSub = false;
  const char c = peek();
  if (c == 'I') {
    if (soFar == 0) return 0;
    const Ref args = templateArgs(st != nullptr);
    if (st != nullptr) st->isTemplate = true;
    return args == 0 ? 0 : make(Kind::kTemplate, soFar, args);
  }
  if (st != nullptr) st->isTemplate = false;
  Ref part;
  if (c == 'S') {
    if (peek(1) == 't') {
      p_ += 2;
      part = text(kTextStd);
      isSub = true;
    } else {
      const unsigned before = nsubs_;
      part = substitution(true);
      isSub = nsubs_ == before;
    }
  } else if (c == 'T') {
    part = templateParam();
  } else if (c == 'D' && (peek(1) == 'T' || peek(1) == 't')) {
    part = type();
    isSub = true;  // type() has added it
  } else if (c == 'M' && soFar != 0) {
    ++p_;  // initialiser scope of a member: no name of its own
    return soFar;
  } else {
    part = unqualified(st);
  }
  if (part == 0) return 0;
  return soFar == 0 ? part : make(Kind::kQualified, soFar, part);
}

Ref Parser::prefix(NameState* st) {
  Ref r = 0;
  while (peek() != 'E') {
    bool isSub;
    r = prefixPart(st, r, isSub);
    if (r == 0) return 0;
    if (!isSub && peek() != 'E' && addSub(r) == 0) return 0;
  }
  return r;
}

void Parser::discriminator() {
  if (peek() != '_') return;
  unsigned v;
  if (peek(1) == '_') {
    p_ += 2;
    number(v);
    eat('_');
  } else if (isDigit(peek(1))) {
    p_ += 2;
  }
}

Ref Parser::local(NameState* st) {
  ++p_;
  NameState inner;
  const Ref fn = encoding(&inner);
  if (fn == 0 || !eat('E')) return 0;
  Ref what;
  if (eat('s')) {
    discriminator();
    what = text(kTextStringLiteral);
  } else if (eat('d')) {
    unsigned v;
    if (!compact(v)) return 0;
    what = wrap(Kind::kDefaultArg, name(st), static_cast<Ref>(v + 1));
  } else {
    what = name(st);
    if (what != 0 && t_[what].kind != Kind::kLambda && t_[what].kind != Kind::kUnnamed) discriminator();
  }
  return what == 0 ? 0 : make(Kind::kLocal, fn, what);
}

Ref Parser::sourceName() {
  unsigned len;
  if (!number(len) || len == 0 || len > n_ - p_) return 0;
  const char* s = s_ + p_;
  const auto off = static_cast<Ref>(p_);
  p_ += len;
  static constexpr char kAnon[] = "_GLOBAL_";
  if (len >= 10 && __builtin_memcmp(s, kAnon, 8) == 0 && (s[8] == '_' || s[8] == '.' || s[8] == '$') &&
      s[9] == 'N') {
    return lastName_ = text(kTextAnonymous);
  }
  return lastName_ = make(Kind::kName, off, static_cast<Ref>(len));
}

Ref Parser::abiTags(Ref r) {
  const Ref last = lastName_;
  while (r != 0 && eat('B')) {
    const Ref tag = sourceName();
    r = tag == 0 ? 0 : make(Kind::kAbiTag, r, tag);
  }
  lastName_ = last;
  return r;
}

Ref Parser::unqualified(NameState* st) {
  if (peek() == 'L') ++p_;  // internal linkage
  Ref r;
  const char c = peek();
  if (isDigit(c)) {
    r = sourceName();
    if (st != nullptr) st->noReturnType = false;
  } else if (isLower(c)) {
    if (st != nullptr) st->noReturnType = false;
    r = operatorName(st);
  } else if (c == 'D' && peek(1) == 'C') {
    p_ += 2;
    ListBuilder names;
    while (peek() != 'E') {
      if (!names.add(*this, sourceName())) return 0;
    }
    ++p_;
    r = wrap(Kind::kStructured, names.head);
  } else if (c == 'C' || c == 'D') {
    r = ctorDtor(st);
  } else if (c == 'U') {
    r = closure();
    if (st != nullptr) st->noReturnType = false;
  } else {
    return 0;
  }
  return abiTags(r);
}

bool Parser::knownOperator(unsigned& i) const {
  for (i = 0; i < kOperatorCount; ++i) {
    if (kOperators[i].code[0] == peek() && kOperators[i].code[1] == peek(1)) return true;
  }
  return false;
}

Ref Parser::operatorName(NameState* st) {
  if (eat2('c', 'v')) {
    const bool was = permitForward_;
    permitForward_ = permitForward_ || st != nullptr;
    const Ref last = lastName_;
    const Ref t = type();
    lastName_ = last;
    permitForward_ = was;
    if (st != nullptr) st->noReturnType = true;
    return wrap(Kind::kConversion, t);
  }
  if (eat2('l', 'i')) return wrap(Kind::kLiteralOp, sourceName());
  if (peek() == 'v' && isDigit(peek(1))) {
    p_ += 2;
    return wrap(Kind::kVendorOp, sourceName());
  }
  unsigned i;
  if (!knownOperator(i)) return 0;
  p_ += 2;
  return make(Kind::kOperator, static_cast<Ref>(i));
}

Ref Parser::ctorDtor(NameState* st) {
  const bool dtor = s_[p_++] == 'D';
  if (lastName_ == 0) return 0;
  const bool inheriting = !dtor && eat('I');
  if (peek() < '0' || peek() > '5') return 0;
  ++p_;
  const Ref last = lastName_;
  if (inheriting && type() == 0) return 0;
  lastName_ = last;
  if (st != nullptr) st->noReturnType = true;
  return make(dtor ? Kind::kDtor : Kind::kCtor, last);
}

Ref Parser::closure() {
  unsigned v;
  if (eat2('U', 't')) return compact(v) ? make(Kind::kUnnamed, 0, static_cast<Ref>(v + 1)) : 0;
  if (!eat2('U', 'l')) return 0;
  const Ref last = lastName_;
  ++lambdaDepth_;
  const Ref f = bareFunction(false, 'E');
  --lambdaDepth_;
  lastName_ = last;
  if (f == 0 || !eat('E') || !compact(v)) return 0;
  return make(Kind::kLambda, t_[f].b, static_cast<Ref>(v + 1));
}

Ref Parser::substitution(bool inPrefix) {
  ++p_;
  const char c = peek();
  if (c == '_' || isDigit(c) || isUpper(c)) {
    unsigned v;
    if (!seqId(v) || v >= nsubs_) return 0;
    unsigned fuel = 100;
    return lambdaDepth_ == 0 ? rescope(subs_[v], fuel) : subs_[v];
  }
  constexpr Ref kStdSubCount = sizeof kStdSubs / sizeof kStdSubs[0];
  for (Ref i = 0; i < kStdSubCount; ++i) {
    if (kStdSubs[i].code != c) continue;
    ++p_;
    lastName_ = text(kStdSubs[i].simple);
    const bool full = inPrefix && (peek() == 'C' || peek() == 'D');
    const Ref r = make(Kind::kStdSub, i, 0, 0, full);
    return peek() == 'B' ? addSub(abiTags(r)) : r;
  }
  return 0;
}

// rescope gives a type that was first seen in a lambda's signature or an inner encoding its meaning here: the
// mangling knows only the spelling T_, which there was another argument. Copies what changes; gives up on
// large types.
Ref Parser::rescope(Ref r, unsigned& fuel) {
  if (r == 0 || fuel == 0) return r;
  --fuel;
  const Node n = t_[r];
  switch (n.kind) {
    case Kind::kAuto:
      return n.b - 1u < paramEnd_ - paramBase_ ? paramAt(n.b - 1u) : r;
    case Kind::kParam:
      return n.c != paramBase_ && n.b < paramEnd_ - paramBase_ ? paramAt(n.b) : r;
    case Kind::kQual:
    case Kind::kPointer:
    case Kind::kLvalueRef:
    case Kind::kRvalueRef:
    case Kind::kExpansion: {
      const Ref a = rescope(n.a, fuel);
      return a == n.a ? r : make(n.kind, a, n.b, n.c, n.flag);
    }
    case Kind::kTemplate:
    case Kind::kList:
    case Kind::kMemberPtr:
    case Kind::kFuncType: {
      const Ref a = rescope(n.a, fuel), b = rescope(n.b, fuel);
      return a == n.a && b == n.b ? r : make(n.kind, a, b, n.c, n.flag);
    }
    default:
      return r;
  }
}

// templateArgs; `tag`: they are the arguments of the encoding's own name, which T_ means from now on.
Ref Parser::templateArgs(bool tag) {
  ++p_;
  const Ref last = lastName_;
  if (tag) paramEnd_ = paramBase_;
  ListBuilder args;
  while (peek() != 'E') {
    const Ref a = templateArg();
    if (!args.add(*this, a)) return 0;
    if (tag) {
      if (paramEnd_ == kParams) return 0;
      params_[paramEnd_++] = a;
    }
  }
  ++p_;
  lastName_ = last;
  return args.head != 0 ? args.head : make(Kind::kList);
}

Ref Parser::templateArg() {
  const Depth d(depth_);
  if (depth_ > kMaxDepth) return 0;
  if (eat('X')) {
    const Ref e = expression();
    return eat('E') ? e : 0;
  }
  if (peek() == 'L') return primary();
  if (peek() != 'J' && peek() != 'I') return type();
  ++p_;
  ListBuilder args;
  while (peek() != 'E') {
    if (!args.add(*this, templateArg())) return 0;
  }
  ++p_;
  return make(Kind::kPack, args.head);
}

Ref Parser::templateParam() {
  ++p_;
  unsigned i;
  if (!compact(i)) return 0;
  if (lambdaDepth_ > 0) return make(Kind::kAuto, 0, static_cast<Ref>(i + 1));
  if (permitForward_) {
    if (nforwards_ == kForwards) return 0;
    const Ref f = make(Kind::kForward, 0, static_cast<Ref>(i));
    if (f != 0) forwards_[nforwards_++] = f;
    return f;
  }
  return paramAt(i);
}

Ref Parser::paramAt(unsigned i) {
  if (i >= paramEnd_ - paramBase_) return 0;
  return make(Kind::kParam, params_[paramBase_ + i], static_cast<Ref>(i), static_cast<Ref>(paramBase_));
}

// ---- types ----

Ref Parser::type() {
  const Depth d(depth_);
  if (depth_ > kMaxDepth) return 0;
  bool substitutable = true;
  const Ref r = typeInner(substitutable);
  return substitutable ? addSub(r) : r;
}

Ref Parser::typeInner(bool& substitutable) {
  const char c = peek();
  switch (c) {
    case 'r':
    case 'V':
    case 'K':
      return qualifiedType();
    case 'F':
      return functionType(0);
    case 'A':
      return arrayType();
    case 'P':
      ++p_;
      return wrap(Kind::kPointer, type());
    case 'R':
      ++p_;
      return wrap(Kind::kLvalueRef, type());
    case 'O':
      ++p_;
      return wrap(Kind::kRvalueRef, type());
    case 'C':
      ++p_;
      return wrap(Kind::kComplex, type());
    case 'G':
      ++p_;
      return wrap(Kind::kImaginary, type());
    case 'M': {
      ++p_;
      const Ref cls = type();
      const Ref t = cls == 0 ? 0 : type();
      return t == 0 ? 0 : make(Kind::kMemberPtr, cls, t);
    }
    case 'U': {
      if (peek(1) == 'l' || peek(1) == 't') return name(nullptr);
      ++p_;
      const Ref q = sourceName();
      const Ref args = q != 0 && peek() == 'I' ? templateArgs(false) : 0;
      const Ref named = args != 0 ? make(Kind::kTemplate, q, args) : q;
      const Ref t = type();
      return t == 0 || named == 0 ? 0 : make(Kind::kVendorQual, t, named);
    }
    case 'u': {
      ++p_;
      const Ref n = sourceName();
      return wrap(Kind::kVendorType, n, n != 0 && peek() == 'I' ? templateArgs(false) : 0);
    }
    case 'D':
      return typeD(substitutable);
    case 'S':
      return typeS(substitutable);
    case 'T':
      return typeT();
    case 'N':
    case 'Z':
      return name(nullptr);
    default:
      break;
  }
  if (isDigit(c)) return name(nullptr);
  if (!isLower(c) || kTexts[kTextBuiltins + (c - 'a')] == nullptr) return 0;
  ++p_;
  substitutable = false;
  return text(static_cast<Ref>(kTextBuiltins + (c - 'a')));
}

Ref Parser::qualifiedType() {
  const uint8 q = cvQualifiers();
  // In front of a function type the qualifiers belong to `this`, and the plain type is no substitution.
  if (peek() == 'F') return functionType(q);
  if (const Ref f = maybeFunctionPrefix(); f != 0) {
    t_.nodes[f].flag |= q;
    return f;
  }
  return wrap(Kind::kQual, type(), 0, q);
}

Ref Parser::typeD(bool& substitutable) {
  const char c = peek(1);
  if (c == 't' || c == 'T') {
    p_ += 2;
    const Ref e = expression();
    return eat('E') ? wrap(Kind::kDecltype, e) : 0;
  }
  if (c == 'p') {
    p_ += 2;
    return wrap(Kind::kExpansion, type());
  }
  if (c == 'v') return vectorType();
  if (c == 'F') {
    p_ += 2;
    unsigned bits;
    if (!number(bits)) return 0;
    substitutable = false;
    if (!eat('_')) return 0;
    return make(Kind::kFloatN, 0, static_cast<Ref>(bits));
  }
  for (unsigned i = 0; kDTypes[i] != 0; ++i) {
    if (kDTypes[i] != c) continue;
    p_ += 2;
    substitutable = false;
    return text(static_cast<Ref>(kTextBuiltins + 26 + i));
  }
  return maybeFunctionPrefix();
}

// maybeFunctionPrefix parses a function type with exception specification or transaction safety in front.
Ref Parser::maybeFunctionPrefix() {
  if (peek() != 'D') return 0;
  uint8 flags = 0;
  Ref condition = 0;
  if (eat2('D', 'o')) {
    flags |= kNoexcept;
  } else if (eat2('D', 'O')) {
    condition = expression();
    if (condition == 0 || !eat('E')) return 0;
    flags |= kNoexcept;
  }
  if (eat2('D', 'x')) flags |= kTxSafe;
  if (flags == 0 || peek() != 'F') return 0;
  const Ref f = functionType(flags);
  if (f != 0) t_.nodes[f].c = condition;
  return f;
}

Ref Parser::typeS(bool& substitutable) {
  const char c = peek(1);
  if (c == 't') return name(nullptr);
  const bool numbered = c == '_' || isDigit(c) || isUpper(c);
  const unsigned before = nsubs_;
  Ref r = substitution(false);
  if (r == 0) return 0;
  if (peek() == 'I') {
    const Ref args = templateArgs(false);
    return args == 0 ? 0 : make(Kind::kTemplate, r, args);
  }
  // A plain substitution is not added again; one that just got tags has been.
  substitutable = false;
  (void)numbered;
  (void)before;
  return r;
}

Ref Parser::typeT() {
  if (peek(1) == 's' || peek(1) == 'u' || peek(1) == 'e') {
    p_ += 2;
    return name(nullptr);
  }
  Ref r = templateParam();
  if (r == 0 || peek() != 'I' || permitForward_) return r;
  if (addSub(r) == 0) return 0;
  const Ref args = templateArgs(false);
  return args == 0 ? 0 : make(Kind::kTemplate, r, args);
}

Ref Parser::functionType(uint8 flags) {
  ++p_;
  eat('Y');
  const Ref f = bareFunction(true, 'E');
  if (f == 0) return 0;
  if (eat('R'))
    flags |= kLref;
  else if (eat('O'))
    flags |= kRref;
  t_.nodes[f].flag = flags;
  return eat('E') ? f : 0;
}

// bareFunction parses [return type] parameters up to `end` (0: end of the symbol or a clone suffix).
Ref Parser::bareFunction(bool hasReturn, char end) {
  eat('J');
  Ref ret = 0;
  if (hasReturn) {
    ret = type();
    if (ret == 0) return 0;
  }
  ListBuilder params;
  unsigned count = 0;
  bool isVoid = false;
  for (;;) {
    const char c = peek();
    if (c == 0 || c == 'E' || c == '.') break;
    if ((c == 'R' || c == 'O') && peek(1) == 'E') break;
    isVoid = c == 'v';
    ++count;
    if (!params.add(*this, type())) return 0;
  }
  if (count == 0 || (end == 'E' && peek() == 0)) return 0;
  return make(Kind::kFuncType, ret, count == 1 && isVoid ? 0 : params.head);
}

Ref Parser::arrayType() {
  ++p_;
  Ref dim = 0;
  if (isDigit(peek())) {
    const unsigned start = p_;
    while (isDigit(peek())) ++p_;
    dim = make(Kind::kName, static_cast<Ref>(start), static_cast<Ref>(p_ - start));
  } else if (peek() != '_') {
    dim = expression();
    if (dim == 0) return 0;
  }
  if (!eat('_')) return 0;
  const Ref t = type();
  return t == 0 ? 0 : make(Kind::kArray, dim, t);
}

Ref Parser::vectorType() {
  p_ += 2;
  Ref dim;
  if (eat('_')) {
    dim = expression();
  } else {
    const unsigned start = p_;
    while (isDigit(peek())) ++p_;
    dim = make(Kind::kName, static_cast<Ref>(start), static_cast<Ref>(p_ - start));
  }
  if (dim == 0 || !eat('_')) return 0;
  const Ref t = type();
  return t == 0 ? 0 : make(Kind::kVector, dim, t);
}

// ---- expressions ----

Ref Parser::expression() {
  const Depth d(depth_);
  if (depth_ > kMaxDepth) return 0;
  // Inside an expression T_ followed by I is a template again, and lambdas' auto does not reach here.
  const bool was = permitForward_;
  const Ref r = expressionInner();
  permitForward_ = was;
  return r;
}

// primary: L <type> <value> E, or L _Z <encoding> E.
Ref Parser::primary() {
  ++p_;
  if (peek() == '_' || peek() == 'Z') {
    eat('_');
    if (!eat('Z')) return 0;
    const Ref e = encoding(nullptr);
    return e != 0 && eat('E') ? e : 0;
  }
  const Ref t = type();
  if (t == 0) return 0;
  if (t_[t].kind == Kind::kText && t_[t].a == kTextBuiltins + 26 && eat('E')) return t;  // nullptr
  const bool negative = eat('n');
  const unsigned start = p_;
  while (peek() != 'E') {
    if (peek() == 0) return 0;
    ++p_;
  }
  const auto len = static_cast<Ref>(p_++ - start);
  return make(Kind::kLiteral, t, static_cast<Ref>(start), len, negative);
}

Ref Parser::list(char end) {
  ListBuilder items;
  while (peek() != end) {
    if (peek() == 0 || !items.add(*this, expression())) return 0;
  }
  ++p_;
  return make(Kind::kArgs, items.head);
}

// unresolved: sr <type> <name>, srN <type> <part>+ E <name>, or sr <part>+ E <name>; parts are no
// substitutions.
Ref Parser::unresolved() {
  p_ += 2;
  const bool parts = isDigit(peek()) || eat('N');
  Ref scope = 0;
  if (!isDigit(peek())) {
    scope = type();
    if (scope == 0) return 0;
  }
  while (parts && !eat('E')) {
    Ref part = sourceName();
    if (part != 0 && peek() == 'I') {
      const Ref args = templateArgs(false);
      part = args == 0 ? 0 : make(Kind::kTemplate, part, args);
    }
    if (part == 0) return 0;
    scope = scope == 0 ? part : make(Kind::kQualified, scope, part);
    if (scope == 0) return 0;
  }
  const Ref n = memberName();
  if (n == 0 || scope == 0) return 0;
  if (parts && t_[n].kind == Kind::kTemplate) {
    return wrap(Kind::kTemplate, make(Kind::kQualified, scope, t_[n].a), t_[n].b);
  }
  return make(Kind::kQualified, scope, n);
}

Ref Parser::memberName() {
  eat2('o', 'n');
  Ref n;
  if (eat2('d', 'n')) {
    const Ref t = isDigit(peek()) ? sourceName() : type();
    n = wrap(Kind::kDtor, t);
  } else {
    n = unqualified(nullptr);
  }
  if (n == 0 || peek() != 'I') return n;
  const Ref args = templateArgs(false);
  return args == 0 ? 0 : make(Kind::kTemplate, n, args);
}

Ref Parser::functionParam() {
  unsigned v;
  if (eat2('f', 'p')) {
    if (eat('T')) return make(Kind::kFuncParam, 0, 0);
  } else {  // fL <level> p
    p_ += 2;
    if (!number(v) || !eat('p')) return 0;
  }
  cvQualifiers();
  return compact(v) ? make(Kind::kFuncParam, 0, static_cast<Ref>(v + 1)) : 0;
}

Ref Parser::expressionInner() {
  const char c = peek(), d = peek(1);
  if (c == 'L') return primary();
  if (c == 'T') return templateParam();
  if (c == 's' && d == 'r') return unresolved();
  if (c == 's' && d == 'p') {
    p_ += 2;
    return wrap(Kind::kExpansion, expression());
  }
  if (c == 'f' && (d == 'p' || (d == 'L' && isDigit(peek(2))))) return functionParam();
  if (isDigit(c) || (c == 'o' && d == 'n') || (c == 'd' && d == 'n')) return memberName();
  if ((c == 'i' || c == 't') && d == 'l') {
    p_ += 2;
    const Ref t = c == 't' ? type() : 0;
    if (c == 't' && t == 0) return 0;
    const Ref items = list('E');
    return items == 0 ? 0 : make(Kind::kInit, t, items);
  }
  return operatorExpression();
}

Ref Parser::fold(unsigned i) {
  const char which = kOperators[i].code[1];
  unsigned j;
  if (!knownOperator(j)) return 0;
  p_ += 2;
  const Ref op = make(Kind::kOperator, static_cast<Ref>(j));
  const Ref a = expression();
  const bool two = which == 'L' || which == 'R';
  const Ref b = a != 0 && two ? expression() : 0;
  if (op == 0 || a == 0 || (two && b == 0)) return 0;
  return make(Kind::kFold, op, a, b, static_cast<uint8>(which));
}

Ref Parser::operatorExpression() {
  if (eat2('c', 'v')) {
    const Ref t = type();
    if (t == 0) return 0;
    const Ref e = eat('_') ? list('E') : expression();
    return e == 0 ? 0 : make(Kind::kCast, t, e);
  }
  unsigned i;
  if (!knownOperator(i)) return 0;
  p_ += 2;
  if (kOperators[i].code[0] == 'f') return fold(i);
  const Ref op = make(Kind::kOperator, static_cast<Ref>(i));
  if (op == 0) return 0;
  switch (kOperators[i].args) {
    case 0:
      return make(Kind::kNullary, op);
    case 1:
      return unaryExpression(op, i);
    case 2:
      return binaryExpression(op, i);
    default:
      break;
  }
  if (kOperators[i].code[0] == 'n') return newExpression(kOperators[i].code[1] == 'a');
  ListBuilder three;
  for (int k = 0; k < 3; ++k) {
    if (!three.add(*this, expression())) return 0;
  }
  return make(Kind::kTrinary, op, three.head);
}

Ref Parser::unaryExpression(Ref op, unsigned i) {
  const char a = kOperators[i].code[0], b = kOperators[i].code[1];
  if ((a == 's' && b == 't') || (a == 'a' && b == 't')) {
    const Ref t = type();
    return t == 0 ? 0 : make(Kind::kUnary, op, t);
  }
  if (a == 's' && b == 'Z') return wrap(Kind::kSizeofPack, peek() == 'T' ? templateParam() : functionParam());
  if (a == 's' && b == 'P') {
    ListBuilder args;
    while (peek() != 'E') {
      if (!args.add(*this, templateArg())) return 0;
    }
    ++p_;
    return make(Kind::kSizeofPack, make(Kind::kPack, args.head));
  }
  const bool suffix = ((a == 'p' && b == 'p') || (a == 'm' && b == 'm')) && !eat('_');
  const Ref e = expression();
  return e == 0 ? 0 : make(suffix ? Kind::kSuffix : Kind::kUnary, op, e);
}

Ref Parser::binaryExpression(Ref op, unsigned i) {
  const char a = kOperators[i].code[0], b = kOperators[i].code[1];
  if (b == 'c' && (a == 'd' || a == 'c' || a == 'r' || a == 's')) {
    const Ref t = type();
    const Ref e = t == 0 ? 0 : expression();
    return e == 0 ? 0 : make(Kind::kNamedCast, op, t, e);
  }
  const bool designator = a == 'd' && b == 'i';
  const Ref left = designator ? unqualified(nullptr) : expression();
  if (left == 0) return 0;
  Ref right;
  if (a == 'c' && b == 'l') {
    right = list('E');
  } else if ((a == 'd' || a == 'p') && b == 't') {
    if (eat2('g', 's')) eat('_');
    right = peek() == 's' && peek(1) == 'r' ? unresolved() : memberName();
  } else {
    right = expression();
  }
  return right == 0 ? 0 : make(Kind::kBinary, op, left, right);
}

Ref Parser::newExpression(bool array) {
  const Ref placement = list('_');
  const Ref t = placement == 0 ? 0 : type();
  if (t == 0) return 0;
  Ref init = 0;
  if (eat2('p', 'i')) {
    init = list('E');
    if (init == 0) return 0;
  } else if (peek() == 'i' && peek(1) == 'l') {
    init = expression();
    if (init == 0) return 0;
  } else if (!eat('E')) {
    return 0;
  }
  return make(Kind::kNew, placement, t, init, array);
}

}  // namespace
}  // namespace demangler

std::size_t demangle(const char* mangled, char* buf, std::size_t cap, DemangleStyle style) {
  if (cap == 0) return 0;
  buf[0] = 0;
  std::size_t n = 0;
  while (mangled[n] != 0) ++n;
  if (n < 4 || n > 0xfff0 || mangled[0] != '_' || mangled[1] != 'Z') return 0;
  demangler::Tree t;
  t.input = mangled;
  t.size = static_cast<unsigned>(n);
  demangler::Ref root;
  {
    demangler::Parser p(t, mangled, t.size);
    root = p.symbol();
  }
  if (root == 0) return 0;
  const std::size_t len = demangler::print(t, root, {buf, cap, style == DemangleStyle::kTrace});
  if (len < cap) return len;
  buf[0] = 0;
  return 0;
}

std::size_t demangleOr(const char* mangled, char* buf, std::size_t cap, DemangleStyle style) {
  std::size_t n = demangle(mangled, buf, cap, style);
  if (n != 0 || cap == 0) return n;
  for (; mangled[n] != 0 && n + 1 < cap; ++n) buf[n] = mangled[n];
  buf[n] = 0;
  return n;
}

}  // namespace gort::rt
