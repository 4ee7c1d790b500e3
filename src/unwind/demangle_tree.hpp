// SPDX-License-Identifier: Apache-2.0
// The tree between the demangler's parser and printer. Private to src/unwind.
// Ownership:  all nodes live in one Tree on the caller's stack; a node is named by its 16-bit index, 0 is
//             "none".
// Invariants: (1) children have been made before their parents, except through kForward, whose target is set
//             later: only kForward can close a cycle, and the printer's depth and fuel limits end it.
#pragma once
#include "base/types.hpp"

namespace gort::rt::demangler {

using Ref = uint16;

enum class Kind : uint8 {
  kNone,
  // names
  kName,       // a: offset in the input, b: length
  kText,       // a: index into kTexts
  kStdSub,     // a: index into kStdSubs, flag: 1 if always spelled out
  kQualified,  // a::b
  kLocal,      // a: function, b: entity
  kTemplate,   // a: name, b: list of arguments
  kList,       // a: item, b: rest
  kPack,       // a: list (an argument pack)
  kCtor,
  kDtor,        // a: name of the class
  kOperator,    // a: index into kOperators
  kConversion,  // a: type
  kLiteralOp,   // a: name
  kVendorOp,    // a: name
  kAbiTag,      // a: name, b: tag
  kLambda,      // a: list of parameter types, b: number
  kUnnamed,     // b: number
  kDefaultArg,  // b: number, a: entity
  kStructured,  // a: list of names
  kThisQual,    // a: name of a member function, flag: kConst..
  // whole symbols
  kFunction,  // a: name, b: kFuncType
  kSpecial,   // flag: index into kSpecials, a: what, b: "-in-" what
  kRefTemp,   // a: what, b: number
  kClone,     // a: symbol, b: offset of suffix, c: length
  // types
  kFuncType,  // a: return type or 0, b: list of parameters, flag: kConst.. kNoexcept, c: noexcept(expr)
  kQual,      // a: type, flag: kConst..
  kPointer,
  kLvalueRef,
  kRvalueRef,
  kComplex,
  kImaginary,   // a: type
  kArray,       // a: dimension or 0, b: type
  kMemberPtr,   // a: class, b: type
  kVector,      // a: dimension, b: type
  kVendorQual,  // a: type, b: name
  kVendorType,  // a: name, b: arguments
  kExpansion,   // a: pattern
  kParam,       // a: argument, b: its index, c: where the arguments of its encoding start
  kForward,     // a: argument once known, b: index
  kAuto,        // b: index
  kDecltype,    // a: expression
  kFloatN,      // b: bits
  // expressions
  kLiteral,     // a: type, b: offset, c: length, flag: 1 if negative
  kUnary,       // a: operator, b: operand
  kSuffix,      // a: operator, b: operand
  kNullary,     // a: operator
  kBinary,      // a: operator, b: left, c: right
  kTrinary,     // a: operator, b: list of three
  kCast,        // a: type, b: expression or list
  kNamedCast,   // a: operator, b: type, c: expression
  kArgs,        // a: list
  kInit,        // a: type or 0, b: list
  kFuncParam,   // b: number, 0 is this
  kFold,        // flag: 'l' 'r' 'L' 'R', a: operator, b, c
  kNew,         // a: placement list, b: type, c: initialiser kArgs or 0, flag: 1 array
  kSizeofPack,  // a: pack
};

enum Flags : uint8 {
  kConst = 1,
  kVolatile = 2,
  kRestrict = 4,
  kLref = 8,
  kRref = 16,
  kNoexcept = 32,
  kTxSafe = 64
};

struct Node {
  Kind kind;
  uint8 flag;
  Ref a, b, c;
};
static_assert(sizeof(Node) == 8);

struct OperatorInfo {
  char code[3];
  const char* name;
  uint8 args;
};
extern const OperatorInfo kOperators[];
extern const unsigned kOperatorCount;

struct StdSub {
  char code;
  const char* brief;
  const char* full;
  Ref simple;  // index into kTexts
};
extern const StdSub kStdSubs[];
extern const char* const kTexts[];
enum TextIndex : Ref {
  kTextStd,
  kTextAnonymous,
  kTextAllocator,
  kTextBasicString,
  kTextIstream,
  kTextOstream,
  kTextIostream,
  kTextStringLiteral,
  kTextBuiltins
};
extern const char* const kSpecials[];

struct Tree {
  static constexpr unsigned kNodes = 1024;
  const char* input;
  unsigned size = 0;  // of input
  unsigned n = 1;
  Node nodes[kNodes];

  const Node& operator[](Ref r) const { return nodes[r]; }
};

// print writes root to buf. Returns the length, or cap if it did not fit or the tree is not printable.
struct Output {
  char* buf;
  std::size_t cap;
  bool trace;
};
std::size_t print(const Tree& t, Ref root, const Output& out);

}  // namespace gort::rt::demangler
