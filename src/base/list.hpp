// SPDX-License-Identifier: Apache-2.0
// Intrusive lists over a member link. No ownership: nodes belong to whoever made them; no atomics: guarded by the list's
// lock or owner. `Queue` is FIFO with O(1) splice (Go: gQueue), `Stack` LIFO (Go: gList).
#pragma once
#include "base/types.hpp"

namespace gort::rt {

template <class T, T* T::*Link>
class Stack {
 public:
  constexpr Stack() = default;
  bool empty() const { return head_ == nullptr; }
  T* top() const { return head_; }
  void push(T* n) {
    n->*Link = head_;
    head_ = n;
  }
  T* pop() {
    T* n = head_;
    if (n != nullptr) {
      head_ = n->*Link;
      n->*Link = nullptr;
    }
    return n;
  }

 private:
  T* head_ = nullptr;
};

template <class T, T* T::*Link>
class Queue {
 public:
  constexpr Queue() = default;
  bool empty() const { return head_ == nullptr; }
  T* front() const { return head_; }
  void push(T* n) {
    n->*Link = nullptr;
    if (head_ == nullptr) {
      head_ = n;
    } else {
      tail_->*Link = n;
    }
    tail_ = n;
  }
  void pushFront(T* n) {
    n->*Link = head_;
    head_ = n;
    if (tail_ == nullptr) tail_ = n;
  }
  T* pop() {
    T* n = head_;
    if (n != nullptr) {
      head_ = n->*Link;
      if (head_ == nullptr) tail_ = nullptr;
      n->*Link = nullptr;
    }
    return n;
  }
  // append moves all of q behind ours and leaves q empty.
  void append(Queue& q) {
    if (q.head_ == nullptr) return;
    if (head_ == nullptr) {
      head_ = q.head_;
    } else {
      tail_->*Link = q.head_;
    }
    tail_ = q.tail_;
    q.head_ = q.tail_ = nullptr;
  }
  // removeAfter unlinks the node behind `prev` (nullptr: the head). Requires: there is one.
  void removeAfter(T* prev, T* n) {
    T* next = n->*Link;
    if (prev == nullptr) {
      head_ = next;
    } else {
      prev->*Link = next;
    }
    if (tail_ == n) tail_ = prev;
    n->*Link = nullptr;
  }

 private:
  T* head_ = nullptr;
  T* tail_ = nullptr;
};

}  // namespace gort::rt
