# SPDX-License-Identifier: Apache-2.0
"""Wrong uses that must not compile, and what both compilers must say about them (a regular expression)."""

PRELUDE = "#include <gort/gort.hpp>\n#include <optional>\nusing namespace std::chrono_literals;\n"

CASES = {
    "go_ref_param": ("void f() { int x = 0; gort::go([](int& a) { ++a; }, x); }", "needs std::ref"),
    "go_drops_error": ("gort::error serve(); void f() { gort::go(serve); }", "nobody would see"),
    "go_drops_result": ("gort::result<int> serve(); void f() { gort::go(serve); }", "nobody would see"),
    "go_drops_task": ("void f() { gort::go([] { return gort::spawn([] {}); }); }", "nobody would see"),
    "chan_ref": ("gort::chan<int&> c; void f() { c.close(); }", "movable object type"),
    "send_on_recv": ("void f(gort::recv_chan<int> c) { c.send(1); }", "no member named|has no member named"),
    "close_on_recv": ("void f(gort::recv_chan<int> c) { c.close(); }", "no member named|has no member named"),
    "recv_on_send": ("void f(gort::send_chan<int> c) { c.recv(); }", "no member named|has no member named"),
    "reverse_chan": ("void f(gort::recv_chan<int> r) { gort::chan<int> c = r; (void)c; }", "conversion|convert"),
    "try_send_ignored": ("void f(gort::chan<int> c) { c.try_send(1); }", "nodiscard|warn_unused_result"),
    "select_int": ("void f(gort::chan<int> c) { auto s = gort::select(c); (void)s; }", "takes case objects"),
    "discard_selected": ("void f(gort::chan<int> c) { gort::recv_case r{c}; gort::select(r); }", "nodiscard"),
    "on_recv_handler": ("void f(gort::chan<int> c) { gort::select(gort::on_recv(c, [](int, bool) {})); }",
                        "nullopt means closed"),
    "defer_error": ("gort::error cl(); void f() { gort::defer d{[] { return cl(); }}; }", "drops the error"),
    "discard_defer": ("void f() { gort::defer{[] {}}; }", "nodiscard"),
    "heap_defer": ("void f() { auto l = [] {}; auto* p = new gort::defer<decltype(l)>(l); (void)p; }", "deleted"),
    "copy_defer": ("void f() { gort::defer d{[] {}}; auto e = d; (void)e; }", "deleted"),
    "recover_handler": ("void f() { gort::func([](auto& fn) { fn.recover([](int) {}); }); }", "panic_info"),
    "func_auto_value": ("void f() { gort::func([](auto&) { return 1; }); }", "write gort::func<R>"),
    "func_mismatch": ('void f() { gort::func<int>([](auto&) { return "x"; }); }', "does not convert"),
    "discard_task": ("void f() { gort::spawn([] { return 1; }); }", "nodiscard"),
    "discard_ctx": ("void f() { gort::with_timeout(gort::background(), 1s); }", "nodiscard"),
    "discard_error": ("gort::error g(); void f() { g(); }", "nodiscard"),
    "discard_result": ("gort::result<int> g(); void f() { g(); }", "nodiscard"),
    "discard_after_func": ("void f() { gort::after_func(1s, [] {}); }", "nodiscard"),
    "copy_task": ("void f(gort::task<int>& t) { auto u = t; (void)u; }", "deleted"),
    "copy_mutex": ("void f(gort::mutex& m) { auto n = m; (void)n; }", "deleted"),
    "errgroup_int": ("void f() { gort::errgroup g; g.go([] { return 1; }); }", "returns void or gort::error"),
    "run_string": ('int main() { return gort::run([] { return "x"; }); }', "void, int"),
}
