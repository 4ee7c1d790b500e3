// SPDX-License-Identifier: Apache-2.0
// Bodies behind <gort/chan.hpp> and <gort/select.hpp>: memory of channels, entry into the runtime, exceptions
// of moves.
//
// The hot paths (chan_send, chan_recv, their try_ forms, select_go) test whether the caller is on a goroutine
// and then jump into the core: no frame, no cleanup. A foreign thread, or a goroutine that has lost its P in
// a system call, takes the slow form with an Entry.
#include <gort/chan.hpp>
#include <gort/context.hpp>
#include <gort/select.hpp>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>

#include "arch/sanitizer_fiber.hpp"
#include "lang/select.hpp"

namespace gort {
inline namespace GORT_ABI {
namespace detail {

namespace {

using rt::ChanResult;
using rt::Entry;
using rt::Hchan;
using rt::SelectCase;

// The headers' mirror of schema/chan2.hpp.
static_assert(sizeof(elem_ops) == sizeof(rt::ElemOps));
static_assert(sizeof(case_node) == sizeof(SelectCase));
static_assert(sizeof(wait_node::bytes) == sizeof(rt::Sudog));
static_assert(offsetof(case_node, c) == offsetof(SelectCase, c));
static_assert(offsetof(case_node, external) == offsetof(SelectCase, external));
static_assert(offsetof(case_node, prepare) == offsetof(SelectCase, prepare));
static_assert(offsetof(case_node, list_next) == offsetof(SelectCase, listNext));
static_assert(offsetof(case_node, lock_next) == offsetof(SelectCase, lockNext));
static_assert(offsetof(case_node, when) == offsetof(SelectCase, when));
static_assert(offsetof(case_node, elem_offset) == offsetof(SelectCase, elemOffset));
static_assert(offsetof(case_node, arg) == offsetof(SelectCase, arg));
static_assert(offsetof(case_node, tie) == offsetof(SelectCase, tie));
static_assert(offsetof(case_node, kind) == offsetof(SelectCase, kind));
static_assert(offsetof(case_node, enabled) == offsetof(SelectCase, enabled));
static_assert(offsetof(case_node, relative) == offsetof(SelectCase, relative));
static_assert(offsetof(case_node, state) == offsetof(SelectCase, state));
static_assert(offsetof(case_node, node) == offsetof(SelectCase, sg));
static_assert(static_cast<int>(case_kind::def) == static_cast<int>(rt::CaseKind::def));
static_assert(static_cast<int>(case_state::closed) == static_cast<int>(rt::CaseState::closed));

// The core's types say "void*" for what it only reads or moves from; a const source is always a plain value.
inline void* mutableElem(const void* p) { return const_cast<void*>(p); }

inline SelectCase* toCore(case_node* n) { return reinterpret_cast<SelectCase*>(n); }
inline case_node* fromCore(SelectCase* sc) { return reinterpret_cast<case_node*>(sc); }

// The core's results and chan_status have the same numbers, so that a result is passed on by a jump.
static_assert(static_cast<int>(chan_status::closed) == static_cast<int>(ChanResult::closed));
static_assert(static_cast<int>(chan_status::would_block) == static_cast<int>(ChanResult::wouldBlock));
static_assert(static_cast<int>(chan_status::closed) == static_cast<int>(rt::UntilResult::closed));
static_assert(static_cast<int>(chan_status::timeout) == static_cast<int>(rt::UntilResult::timeout));
static_assert(static_cast<int>(chan_status::canceled) == static_cast<int>(rt::UntilResult::canceled));
template <class R>
chan_status toStatus(R r) {
  return static_cast<chan_status>(r);
}

GORT_NOINLINE ChanResult sendSlow(Hchan* c, void* elem, bool block) {
  Entry entry;
  return rt::chansend(c, elem, block, nullptr);
}

GORT_NOINLINE ChanResult recvSlow(Hchan* c, void* elem, bool block) {
  Entry entry;
  return rt::chanrecv(c, elem, block, nullptr);
}

// operate is every form that may end without a value or with an exception.
chan_status operate(rt::UntilOp op, const context* ctx) {
  Entry entry;
  std::exception_ptr exc;
  chan_status status;
  const bool send = op.kind == rt::CaseKind::send;
  if (ctx == nullptr && (op.until == rt::kForever || op.until == now_or_never.time_since_epoch().count())) {
    const bool block = op.until == rt::kForever;
    status =
        toStatus(send ? rt::chansend(op.c, op.elem, block, &exc) : rt::chanrecv(op.c, op.elem, block, &exc));
  } else {
    const recv_chan<> done = ctx != nullptr ? ctx->done() : recv_chan<>();
    op.cancel = done.raw();
    status = toStatus(rt::chanUntil(op, &exc));
  }
  if (GORT_UNLIKELY(exc != nullptr)) std::rethrow_exception(std::move(exc));
  return status;
}

std::size_t blockAlign(const elem_type& type) {
  return type.align > alignof(Hchan) ? type.align : alignof(Hchan);
}

// Blocks of freed small channels, kept by the P: glibc's aligned allocation costs as much as the rest of a short-lived
// channel. Under ASan every block goes back, so that a use after free is seen.
constexpr std::size_t kBlockUnit = rt::kCacheLineSize;
constexpr std::size_t kBlockClasses = sizeof(rt::P::chanFree) / sizeof(rt::P::chanFree[0]);
constexpr rt::uint32 kBlocksKept = GORT_ASAN ? 0 : 256;

// keptBlocks is this P's list for blocks of that size, or nullptr; pinned until releasem.
auto* keptBlocks(rt::M* mp, std::size_t align, std::size_t bytes) {
  const std::size_t cls = bytes / kBlockUnit - 1;
  return align == kBlockUnit && cls < kBlockClasses ? &mp->p->chanFree[cls] : nullptr;
}

void* blockAlloc(std::size_t align, std::size_t bytes) {
  void* b = nullptr;
  if (const rt::FastEntry in; in) {
    rt::M* mp = rt::acquirem();
    if (auto* list = keptBlocks(mp, align, bytes); list != nullptr && list->head != nullptr) {
      b = list->head;
      std::memcpy(&list->head, b, sizeof list->head);
      --list->n;
    }
    rt::releasem(mp);
    in.leave();
  }
  return b != nullptr ? b : std::aligned_alloc(align, bytes);
}

void blockFree(void* b, std::size_t align, std::size_t bytes) {
  if (const rt::FastEntry in; in) {
    rt::M* mp = rt::acquirem();
    auto* list = keptBlocks(mp, align, bytes);
    const bool keep = list != nullptr && list->n < kBlocksKept;
    if (keep) {
      std::memcpy(b, &list->head, sizeof list->head);
      list->head = b;
      ++list->n;
    }
    rt::releasem(mp);
    in.leave();
    if (keep) return;
  }
  std::free(b);
}

}  // namespace

hchan* chan_make(const elem_type& type, std::size_t cap) {
  const std::size_t align = blockAlign(type);
  const std::size_t header = rt::alignUp(sizeof(Hchan), align);
  std::size_t bytes;
  if (cap > rt::kMaxChanCap || type.size > UINT32_MAX || __builtin_mul_overflow(cap, type.size, &bytes) ||
      bytes > (std::size_t{1} << 46)) {
    Entry entry;
    rt::panicText("makechan: size out of range");
  }
  void* block = blockAlloc(align, rt::alignUp(header + bytes, align));
  if (block == nullptr) throw std::bad_alloc();
  auto* c = static_cast<Hchan*>(block);
  rt::chaninit(c, static_cast<char*>(block) + header, static_cast<rt::uint32>(type.size),
               static_cast<rt::uint32>(cap), reinterpret_cast<const rt::ElemOps*>(type.ops));
  return c;
}

void chan_retain(hchan* c) noexcept { c->refcount.fetchAdd(1, rt::Order::relaxed); }

void chan_release(hchan* c) noexcept {
  // acqRel: what other handles did comes before the destruction.
  if (c->refcount.fetchSub(1, rt::Order::acqRel) != 1) return;
  rt::chandrain(c);
  const auto header = static_cast<std::size_t>(static_cast<char*>(c->buf) - reinterpret_cast<char*>(c));
  const std::size_t align = header == sizeof(Hchan) ? kBlockUnit : 0;  // 0: unusual, not kept
  blockFree(c, align, rt::alignUp(header + std::size_t{c->elemsize} * c->dataqsiz, kBlockUnit));
}

void chan_send(hchan* c, const void* src) {
  if (const rt::FastEntry in; in) {
    (void)rt::chansend(c, mutableElem(src), true, nullptr);
    in.leave();
    return;
  }
  (void)sendSlow(c, mutableElem(src), true);
}

bool chan_try_send(hchan* c, const void* src) {
  if (const rt::FastEntry in; in) {
    const ChanResult r = rt::chansend(c, mutableElem(src), false, nullptr);
    in.leave();
    return r == ChanResult::ok;
  }
  return sendSlow(c, mutableElem(src), false) == ChanResult::ok;
}

chan_status chan_recv(hchan* c, void* dst) {
  if (const rt::FastEntry in; in) {
    const ChanResult r = rt::chanrecv(c, dst, true, nullptr);
    in.leave();
    return toStatus(r);
  }
  return toStatus(recvSlow(c, dst, true));
}

chan_status chan_try_recv(hchan* c, void* dst) {
  if (const rt::FastEntry in; in) {
    const ChanResult r = rt::chanrecv(c, dst, false, nullptr);
    in.leave();
    return toStatus(r);
  }
  return toStatus(recvSlow(c, dst, false));
}

chan_status chan_send_until(hchan* c, const void* src, clock::time_point until, const context* ctx) {
  return operate({c, rt::CaseKind::send, mutableElem(src), until.time_since_epoch().count(), nullptr}, ctx);
}

chan_status chan_recv_until(hchan* c, void* dst, clock::time_point until, const context* ctx) {
  return operate({c, rt::CaseKind::recv, dst, until.time_since_epoch().count(), nullptr}, ctx);
}

void chan_close(hchan* c) {
  Entry entry;
  rt::closechan(c);
}

std::size_t chan_len(const hchan* c) noexcept { return rt::chanlen(c); }
std::size_t chan_cap(const hchan* c) noexcept { return rt::chancap(c); }

void chan_no_value() {
  Entry entry;
  rt::panicText("gort: use of a receive that brought no value");
}

namespace {

GORT_NOINLINE case_node* selectSlow(case_node* first) {
  Entry entry;
  return fromCore(rt::selectgo(toCore(first), rt::WaitReason::select, nullptr));
}

}  // namespace

case_node* select_go(case_node* first) {
  if (const rt::FastEntry in; in) {
    case_node* hit = fromCore(rt::selectgo(toCore(first), rt::WaitReason::select, nullptr));
    in.leave();
    return hit;
  }
  return selectSlow(first);
}

case_node* select_go_throwing(case_node* first) {
  Entry entry;
  std::exception_ptr exc;
  case_node* hit = fromCore(rt::selectgo(toCore(first), rt::WaitReason::select, &exc));
  if (GORT_UNLIKELY(hit == nullptr)) std::rethrow_exception(std::move(exc));
  return hit;
}

void block_forever() {
  Entry entry;
  rt::block();
}

}  // namespace detail
}  // namespace GORT_ABI
}  // namespace gort
