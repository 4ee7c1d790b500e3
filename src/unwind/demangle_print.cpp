// SPDX-License-Identifier: Apache-2.0
// Printer of demangled names. A type is written in two halves around its declarator: `left` up to the name,
// `right` behind it, as C wants it: void (*)(int).
// Limits:     depth and a fuel counter; a tree that needs more is given up (only a malicious one does).
#include "unwind/demangle_tree.hpp"

namespace gort::rt::demangler {

namespace {

constexpr unsigned kMaxDepth = 160, kFuel = 60000, kNoPack = ~0u, kLongArguments = 80;

class Printer {
 public:
  Printer(const Tree& t, const Output& o) : t_(t), o_(o) {}
  void both(Ref r) {
    left(r);
    right(r);
  }
  std::size_t finish() {
    if (failed_ || len_ >= o_.cap) return o_.cap;
    o_.buf[len_] = 0;
    return len_;
  }

 private:
  // ---- output ----
  void put(char c) {
    if (len_ < o_.cap) o_.buf[len_] = c;
    if (len_ <= o_.cap) ++len_;
    last_ = c;
  }
  void put(const char* s) {
    while (*s != 0) put(*s++);
  }
  void span(Ref off, Ref n) {
    for (unsigned i = 0; i < n; ++i) put(t_.input[off + i]);
  }
  void decimal(unsigned v) {
    char d[10];
    unsigned n = 0;
    do d[n++] = static_cast<char>('0' + v % 10);
    while ((v /= 10) != 0);
    while (n > 0) put(d[--n]);
  }
  // last is the last character written, also when it has been taken back: so does c++filt.
  char last() const { return last_; }

  // enter counts depth and fuel; false: stop here.
  bool enter() {
    if (failed_ || len_ >= o_.cap || ++depth_ > kMaxDepth || ++used_ > kFuel) failed_ = true;
    return !failed_;
  }
  struct Leave {
    unsigned& d;
    ~Leave() { --d; }
  };

  // ---- parts ----
  void left(Ref r);
  void right(Ref r);
  bool leftName(Ref r, const Node& n);
  bool leftEntity(const Node& n);
  bool leftVendor(const Node& n);
  bool leftType(Ref r, const Node& n);
  bool leftSymbol(const Node& n);
  void expression(const Node& n);
  void items(Ref list);
  void qualified(const Node& n);
  void templated(const Node& n);
  void function(const Node& n);
  void parameters(const Node& f);
  void qualifiers(uint8 q);
  void special(const Node& n);
  void lambda(const Node& n);
  void expansion(const Node& n);
  void pointerLeft(Ref to, const char* mark);
  void pointerRight(Ref to);
  void reference(Ref r);
  void literal(const Node& n);
  void binary(const Node& n);
  void unary(const Node& n);
  void fold(const Node& n);
  void newExpression(const Node& n);
  void operatorText(Ref op) { put(kOperators[t_[op].a].name); }
  void operatorFunction(const Node& n);
  void subexpression(Ref r);
  void sizeofPack(Ref r);

  Ref element(Ref pack);
  Ref resolve(Ref r);
  bool is(Ref r, Kind k) { return t_[resolve(r)].kind == k; }
  bool hasFunction(Ref r) { return declarator(r) == Kind::kFuncType; }
  bool hasArray(Ref r) { return declarator(r) == Kind::kArray; }
  Kind declarator(Ref r);
  bool isLambdaCall(Ref r);
  bool isCode(Ref op, const char* code) const {
    const OperatorInfo& i = kOperators[t_[op].a];
    return i.code[0] == code[0] && i.code[1] == code[1];
  }

  const Tree& t_;
  const Output& o_;
  std::size_t len_ = 0;
  char last_ = 0;
  unsigned depth_ = 0, used_ = 0;
  unsigned packIndex_ = kNoPack, packMax_ = kNoPack;
  bool failed_ = false;
};

// element picks the current element of a pack, or 0 when there is none.
Ref Printer::element(Ref pack) {
  unsigned size = 0;
  for (Ref l = t_[pack].a; l != 0; l = t_[l].b) ++size;
  if (packMax_ == kNoPack) {
    packMax_ = size;
    packIndex_ = 0;
  }
  unsigned i = packIndex_;
  for (Ref l = t_[pack].a; l != 0; l = t_[l].b) {
    if (i-- == 0) return t_[l].a;
  }
  return 0;
}

// resolve looks through template parameters to what they stand for.
Ref Printer::resolve(Ref r) {
  for (unsigned hops = 0; hops < 32; ++hops) {
    const Node& n = t_[r];
    if (n.kind != Kind::kParam && n.kind != Kind::kForward) return r;
    r = n.a;
    if (t_[r].kind == Kind::kPack) r = element(r);
  }
  return 0;
}

Kind Printer::declarator(Ref r) {
  for (unsigned hops = 0; hops < 64; ++hops) {
    r = resolve(r);
    const Node& n = t_[r];
    if (n.kind == Kind::kQual) {
      r = n.a;
    } else {
      return n.kind;
    }
  }
  return Kind::kNone;
}

// items separates by commas. Empty packs at the end take their commas along; in front c++filt leaves the
// comma, a trace does not.
void Printer::items(Ref list) {
  std::size_t mark = len_;
  bool comma = false;
  for (Ref l = list; l != 0 && !failed_; l = t_[l].b) {
    if (t_[l].a == 0) continue;
    if (comma) put(", ");
    const std::size_t start = len_;
    both(t_[l].a);
    if (len_ != start) {
      mark = len_;
    } else if (o_.trace) {
      len_ = mark;
    }
    comma = !o_.trace || len_ != start || comma;
  }
  len_ = mark;
}

bool Printer::isLambdaCall(Ref r) {
  const Node& n = t_[r];
  if (n.kind != Kind::kQualified || t_[n.b].kind != Kind::kOperator || !isCode(n.b, "cl")) return false;
  const Node& scope = t_[n.a];
  return scope.kind == Kind::kLambda || (scope.kind == Kind::kLocal && t_[scope.b].kind == Kind::kLambda) ||
         (scope.kind == Kind::kQualified && t_[scope.b].kind == Kind::kLambda);
}

void Printer::qualified(const Node& n) {
  both(n.a);
  const Node& b = t_[n.b];
  if (o_.trace && b.kind == Kind::kOperator && isCode(n.b, "cl")) {
    const Node& scope = t_[n.a];
    const Ref inner = scope.kind == Kind::kLocal || scope.kind == Kind::kQualified ? scope.b : n.a;
    if (t_[inner].kind == Kind::kLambda) return;
  }
  // Inline namespaces of the library are noise in a trace.
  if (o_.trace && b.kind == Kind::kName && b.b == 7 && __builtin_memcmp(t_.input + b.a, "__cxx11", 7) == 0)
    return;
  put("::");
  both(n.b);
}

void Printer::templated(const Node& n) {
  both(n.a);
  if (o_.trace && isLambdaCall(n.a)) return;
  const std::size_t start = len_;
  if (last() == '<') put(' ');
  put('<');
  items(n.b);
  if (last() == '>' && !o_.trace) put(' ');
  put('>');
  if (o_.trace && len_ < o_.cap && len_ - start > kLongArguments) {
    len_ = start;
    put("<...>");
  }
}

void Printer::qualifiers(uint8 q) {
  if ((q & kConst) != 0) put(" const");
  if ((q & kVolatile) != 0) put(" volatile");
  if ((q & kRestrict) != 0) put(" __restrict");
  if ((q & kTxSafe) != 0) put(" transaction_safe");
  if ((q & kLref) != 0) put(" &");
  if ((q & kRref) != 0) put(" &&");
}

void Printer::parameters(const Node& f) {
  put('(');
  items(f.b);
  put(')');
}

void Printer::function(const Node& n) {
  if (o_.trace) return both(n.a);
  const Node& f = t_[n.b];
  if (f.a != 0) {
    left(f.a);
    if (!hasFunction(f.a) && !hasArray(f.a) && last() != ' ') put(' ');
  }
  both(n.a);
  parameters(f);
  qualifiers(n.flag);
  if (f.a != 0) right(f.a);
}

void Printer::special(const Node& n) {
  put(kSpecials[n.flag]);
  both(n.a);
  if (n.b != 0) {
    put("-in-");
    both(n.b);
  }
}

void Printer::lambda(const Node& n) {
  put(o_.trace ? "{lambda" : "{lambda(");
  if (!o_.trace) {
    items(n.a);
    put(')');
  }
  put('#');
  decimal(n.b);
  put('}');
}

void Printer::expansion(const Node& n) {
  const unsigned index = packIndex_, max = packMax_;
  packIndex_ = packMax_ = kNoPack;
  const std::size_t start = len_;
  both(n.a);
  if (packMax_ == kNoPack) {
    len_ = start;
    subexpression(n.a);
    put("...");
  } else if (packMax_ == 0) {
    len_ = start;
  }
  const unsigned count = packMax_;
  for (unsigned i = 1; count != kNoPack && i < count && !failed_; ++i) {
    put(", ");
    packIndex_ = i;
    both(n.a);
  }
  packIndex_ = index;
  packMax_ = max;
}

// ---- types ----

void Printer::pointerLeft(Ref to, const char* mark) {
  left(to);
  const Kind k = declarator(to);
  if (k == Kind::kArray) put(" (");
  if (k == Kind::kFuncType) put('(');
  put(mark);
}

void Printer::pointerRight(Ref to) {
  const Kind k = declarator(to);
  if (k == Kind::kArray || k == Kind::kFuncType) put(')');
  right(to);
}

// target of a reference to a reference: & wins over &&.
void Printer::reference(Ref r) {
  bool lvalue = t_[r].kind == Kind::kLvalueRef;
  Ref to = resolve(t_[r].a);
  for (unsigned hops = 0; hops < 32; ++hops) {
    const Kind k = t_[to].kind;
    if (k != Kind::kLvalueRef && k != Kind::kRvalueRef) break;
    lvalue = lvalue || k == Kind::kLvalueRef;
    to = resolve(t_[to].a);
  }
  pointerLeft(to, lvalue ? "&" : "&&");
}

bool Printer::leftType(Ref r, const Node& n) {
  switch (n.kind) {
    case Kind::kFuncType:
      if (n.a != 0) {
        left(n.a);
        put(' ');
      }
      return true;
    case Kind::kQual:
      left(n.a);
      // const of a const argument is const once.
      qualifiers(is(n.a, Kind::kQual) ? n.flag & static_cast<uint8>(~t_[resolve(n.a)].flag) : n.flag);
      return true;
    case Kind::kPointer:
      pointerLeft(n.a, "*");
      return true;
    case Kind::kLvalueRef:
    case Kind::kRvalueRef:
      reference(r);
      return true;
    case Kind::kComplex:
      both(n.a);
      put(" _Complex");
      return true;
    case Kind::kImaginary:
      both(n.a);
      put(" _Imaginary");
      return true;
    case Kind::kArray:
      left(n.b);
      return true;
    case Kind::kMemberPtr:
      left(n.b);
      if (hasFunction(n.b))
        put('(');
      else if (hasArray(n.b))
        put(" (");
      else
        put(' ');
      both(n.a);
      put("::*");
      return true;
    default:
      return leftVendor(n);
  }
}

// leftVendor: extensions, and types without a declarator's two halves.
bool Printer::leftVendor(const Node& n) {
  switch (n.kind) {
    case Kind::kVector:
      both(n.b);
      put(" __vector(");
      both(n.a);
      put(')');
      return true;
    case Kind::kVendorQual:
      both(n.a);
      put(' ');
      both(n.b);
      return true;
    case Kind::kVendorType:
      both(n.a);
      if (n.b != 0) {
        put('<');
        items(n.b);
        put('>');
      }
      return true;
    case Kind::kDecltype:
      put("decltype (");
      both(n.a);
      put(')');
      return true;
    case Kind::kFloatN:
      put("_Float");
      decimal(n.b);
      return true;
    case Kind::kAuto:
      put("auto:");
      decimal(n.b);
      return true;
    default:
      return false;
  }
}

void Printer::right(Ref r) {
  if (!enter()) return;
  const Leave leave{depth_};
  const Node& n = t_[r];
  switch (n.kind) {
    case Kind::kParam:
    case Kind::kForward:
      right(resolve(r));
      return;
    case Kind::kFuncType:
      parameters(n);
      qualifiers(n.flag);
      if ((n.flag & kNoexcept) != 0) put(" noexcept");
      if (n.c != 0) {
        put('(');
        both(n.c);
        put(')');
      }
      if (n.a != 0) right(n.a);
      return;
    case Kind::kQual:
      right(n.a);
      return;
    case Kind::kPointer:
      pointerRight(n.a);
      return;
    case Kind::kMemberPtr:
      pointerRight(n.b);
      return;
    case Kind::kLvalueRef:
    case Kind::kRvalueRef: {
      Ref to = resolve(n.a);
      for (unsigned hops = 0;
           hops < 32 && (t_[to].kind == Kind::kLvalueRef || t_[to].kind == Kind::kRvalueRef); ++hops) {
        to = resolve(t_[to].a);
      }
      pointerRight(to);
      return;
    }
    case Kind::kArray:
      if (last() != ']') put(' ');
      put('[');
      if (n.a != 0) both(n.a);
      put(']');
      right(n.b);
      return;
    default:
      return;
  }
}

// ---- names ----

void Printer::operatorFunction(const Node& n) {
  const char* name = kOperators[n.a].name;
  put("operator");
  if (name[0] >= 'a' && name[0] <= 'z') put(' ');
  for (; *name != 0; ++name) {
    if (name[0] != ' ' || name[1] != 0) put(*name);
  }
}

bool Printer::leftName(Ref r, const Node& n) {
  switch (n.kind) {
    case Kind::kName:
      span(n.a, n.b);
      return true;
    case Kind::kText:
      put(kTexts[n.a]);
      return true;
    case Kind::kStdSub:
      put(o_.trace && n.flag == 0 ? kStdSubs[n.a].brief : kStdSubs[n.a].full);
      return true;
    case Kind::kQualified:
      qualified(n);
      return true;
    case Kind::kLocal:
      both(n.a);
      put("::");
      both(n.b);
      return true;
    case Kind::kTemplate:
      templated(n);
      return true;
    case Kind::kList:
      items(r);
      return true;
    case Kind::kPack:
      items(n.a);
      return true;
    default:
      return leftEntity(n);
  }
}

// leftEntity: what an unqualified name can be besides an identifier.
bool Printer::leftEntity(const Node& n) {
  switch (n.kind) {
    case Kind::kCtor:
      both(n.a);
      return true;
    case Kind::kDtor:
      put('~');
      both(n.a);
      return true;
    case Kind::kOperator:
      operatorFunction(n);
      return true;
    case Kind::kConversion:
      put("operator ");
      both(n.a);
      return true;
    case Kind::kLiteralOp:
      put("operator\"\" ");
      both(n.a);
      return true;
    case Kind::kVendorOp:
      put("operator ");
      both(n.a);
      return true;
    case Kind::kAbiTag:
      both(n.a);
      if (o_.trace) return true;
      put("[abi:");
      both(n.b);
      put(']');
      return true;
    case Kind::kLambda:
      lambda(n);
      return true;
    case Kind::kUnnamed:
      put("{unnamed type#");
      decimal(n.b);
      put('}');
      return true;
    case Kind::kDefaultArg:
      put("{default arg#");
      decimal(n.b);
      put("}::");
      both(n.a);
      return true;
    case Kind::kStructured:
      put('[');
      items(n.a);
      put(']');
      return true;
    case Kind::kThisQual:
      both(n.a);
      if (!o_.trace) qualifiers(n.flag);
      return true;
    default:
      return false;
  }
}

bool Printer::leftSymbol(const Node& n) {
  switch (n.kind) {
    case Kind::kFunction:
      function(n);
      return true;
    case Kind::kSpecial:
      special(n);
      return true;
    case Kind::kRefTemp:
      put("reference temporary #");
      decimal(n.b);
      put(" for ");
      both(n.a);
      return true;
    case Kind::kClone:
      both(n.a);
      if (o_.trace) return true;
      put(" [clone ");
      span(n.b, n.c);
      put(']');
      return true;
    case Kind::kExpansion:
      expansion(n);
      return true;
    default:
      return false;
  }
}

void Printer::left(Ref r) {
  if (r == 0 || !enter()) return;
  const Leave leave{depth_};
  const Node& n = t_[r];
  if (n.kind == Kind::kParam || n.kind == Kind::kForward) return left(resolve(r));
  if (leftName(r, n) || leftType(r, n) || leftSymbol(n)) return;
  expression(n);
}

// ---- expressions ----

void Printer::subexpression(Ref r) {
  const Kind k = t_[r].kind;
  const bool simple = k == Kind::kName || k == Kind::kText || k == Kind::kQualified || k == Kind::kInit ||
                      k == Kind::kFuncParam;
  if (!simple) put('(');
  both(r);
  if (!simple) put(')');
}

void Printer::literal(const Node& n) {
  const Node& t = t_[n.a];
  const char builtin = t.kind == Kind::kText && t.a >= kTextBuiltins && t.a < kTextBuiltins + 26
                           ? static_cast<char>('a' + (t.a - kTextBuiltins))
                           : 0;
  const char* suffix = nullptr;
  switch (builtin) {
    case 'i':
      suffix = "";
      break;
    case 'j':
      suffix = "u";
      break;
    case 'l':
      suffix = "l";
      break;
    case 'm':
      suffix = "ul";
      break;
    case 'x':
      suffix = "ll";
      break;
    case 'y':
      suffix = "ull";
      break;
    case 'b':
      if (n.c == 1 && n.flag == 0 && (t_.input[n.b] == '0' || t_.input[n.b] == '1')) {
        return put(t_.input[n.b] == '0' ? "false" : "true");
      }
      break;
    default:
      break;
  }
  if (suffix == nullptr) {
    put('(');
    both(n.a);
    put(')');
  }
  if (n.flag != 0) put('-');
  const bool isFloat = builtin == 'f' || builtin == 'd' || builtin == 'e' || builtin == 'g';
  if (isFloat) put('[');
  span(n.b, n.c);
  if (isFloat) put(']');
  if (suffix != nullptr) put(suffix);
}

void Printer::binary(const Node& n) {
  const bool greater = isCode(n.a, "gt");
  if (greater) put('(');
  const Node& l = t_[n.b];
  if (isCode(n.a, "cl")) {
    // The function of a call is printed without its parameter types.
    subexpression(l.kind == Kind::kFunction ? l.a : n.b);
    subexpression(n.c);
  } else if (isCode(n.a, "ix")) {
    subexpression(n.b);
    put('[');
    both(n.c);
    put(']');
  } else {
    subexpression(n.b);
    operatorText(n.a);
    subexpression(n.c);
  }
  if (greater) put(')');
}

void Printer::unary(const Node& n) {
  Ref operand = n.b;
  if (isCode(n.a, "ad") && t_[operand].kind == Kind::kFunction &&
      t_[t_[operand].a].kind == Kind::kQualified) {
    operand = t_[operand].a;
  }
  operatorText(n.a);
  if (isCode(n.a, "gs")) return both(operand);
  if (isCode(n.a, "st") || isCode(n.a, "nx")) {
    put('(');
    both(operand);
    return put(')');
  }
  subexpression(operand);
}

void Printer::fold(const Node& n) {
  put(n.flag == 'l' ? "(..." : "(");
  if (n.flag != 'l') subexpression(n.b);
  operatorText(n.a);
  switch (n.flag) {
    case 'l':
      subexpression(n.b);
      break;
    case 'r':
      put("...");
      break;
    default:
      put("...");
      operatorText(n.a);
      subexpression(n.c);
      break;
  }
  put(')');
}

void Printer::newExpression(const Node& n) {
  put("new ");
  if (t_[n.a].a != 0) {
    subexpression(n.a);
    put(' ');
  }
  both(n.b);
  if (n.c != 0) subexpression(n.c);
}

void Printer::sizeofPack(Ref r) {
  const Ref pack = t_[r].kind == Kind::kParam ? t_[r].a : r;
  if (t_[pack].kind != Kind::kPack) {
    put("sizeof...(");
    both(r);
    return put(')');
  }
  unsigned size = 0;
  for (Ref l = t_[pack].a; l != 0; l = t_[l].b) ++size;
  decimal(size);
}

void Printer::expression(const Node& n) {
  switch (n.kind) {
    case Kind::kLiteral:
      literal(n);
      return;
    case Kind::kUnary:
      unary(n);
      return;
    case Kind::kSuffix:
      subexpression(n.b);
      operatorText(n.a);
      return;
    case Kind::kNullary:
      operatorText(n.a);
      return;
    case Kind::kBinary:
      binary(n);
      return;
    case Kind::kTrinary: {
      const Ref one = n.b, two = t_[one].b, three = t_[two].b;
      subexpression(t_[one].a);
      operatorText(n.a);
      subexpression(t_[two].a);
      put(" : ");
      subexpression(t_[three].a);
      return;
    }
    case Kind::kCast:
      put('(');
      both(n.a);
      put(')');
      subexpression(n.b);
      return;
    case Kind::kNamedCast:
      operatorText(n.a);
      put('<');
      both(n.b);
      put(">(");
      both(n.c);
      put(')');
      return;
    case Kind::kArgs:
      items(n.a);
      return;
    case Kind::kInit:
      if (n.a != 0) both(n.a);
      put('{');
      both(n.b);
      put('}');
      return;
    case Kind::kFuncParam:
      if (n.b == 0) return put("this");
      put("{parm#");
      decimal(n.b);
      put('}');
      return;
    case Kind::kFold:
      fold(n);
      return;
    case Kind::kNew:
      newExpression(n);
      return;
    case Kind::kSizeofPack:
      sizeofPack(n.a);
      return;
    default:
      failed_ = true;
      return;
  }
}

}  // namespace

std::size_t print(const Tree& t, Ref root, const Output& out) {
  Printer p(t, out);
  p.both(root);
  return p.finish();
}

}  // namespace gort::rt::demangler
