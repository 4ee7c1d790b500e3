#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The programs of docs/api.md, README.md and the tutorial link, run and print what they promise.

usage: examples_run_test.py --root ROOT --library LIBGORT

Every block with a main function must be in RUNS or LATER, so that a new one is not forgotten; blocks without one are
in RUNS with a main of ours.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

import compilers
import examples_test

TUTORIAL = "docs/tutorial/01-goroutines.md"
MERGE_MAIN = r"""
int main() {
  return gort::run([] {
    auto feed = [](std::string s) {
      return gort::produce<std::string>(0, [s](gort::send_chan<std::string> out) { out.send(s); out.send(s); });
    };
    auto all = gort::make_chan<std::string>();
    gort::go([=] { merge({feed("a"), feed("b"), feed("c")}, all, gort::background()); });
    int n = 0;
    for ([[maybe_unused]] auto& s : all) ++n;
    std::printf("%d\n", n);
  });
}
"""
PUMP_MAIN = r"""
int main() {
  return gort::run([] {
    auto in = gort::make_chan<std::unique_ptr<int>>(), out = gort::make_chan<std::unique_ptr<int>>();
    gort::go([=] { pump(in, out); });
    for (int i = 0; i < 100; ++i) in.send(std::make_unique<int>(i));  // nobody receives yet
    in.close();
    int want = 0;
    for (auto& p : out) want += *p == want ? 1 : 0;
    std::printf("%d\n", want);
  });
}
"""
HEDGED_MAIN = r"""
gort::result<std::string> ask(gort::context c, int replica) {
  if (replica == 0) { (void)c.done().recv(); return c.err(); }
  return std::string("second");
}
int main() { return gort::run([] { std::puts(hedged(gort::background()).value_or("none").c_str()); }); }
"""
FETCH_MAIN = r"""
gort::result<std::string> fetch(const gort::context& c, std::string url) {
  if (url == "bad") return gort::error("no such host");
  if (url == "slow") { (void)c.done().recv(); return c.err(); }
  return "body of " + url;
}
int main() {
  return gort::run([] {
    std::vector<std::string> out;
    const gort::error none = all(gort::background(), {"x", "y"}, out);
    std::printf("%d %s\n", !none, out[1].c_str());
    std::puts(all(gort::background(), {"slow", "bad", "slow"}, out).message().c_str());
  });
}
"""
RISKY_MAIN = r"""
int risky(int x) { if (x < 0) gort::panic("negative"); return x; }
int main() {
  return gort::run([] { const int a = handle(3), b = handle(-3); std::printf("%d %d\n", a, b); });
}
"""
SEARCH_MAIN = r"""
gort::result<int> search(gort::context c, std::string key) {
  if (key == "left") { (void)c.done().recv(); return c.err(); }
  return 7;
}
int main() { return gort::run([] { std::printf("%d\n", either(gort::background())); }); }
"""
QUEUE_MAIN = r"""
int main() {
  return gort::run([] {
    queue q;
    auto t = gort::spawn([&] { return q.get(gort::background()).value_or(-1); });
    gort::yield();
    q.put(5);
    const int got = t.join();
    auto gone = gort::with_timeout(gort::background(), 1ms);
    std::printf("%d %d\n", got, q.get(gone).has_value());
  });
}
"""
# beginning of the name: what is added to the block, what standard output must match
RUNS = {
    "api.md: 1 workers": ("", r"(?s)\A(\d+\n){100}\Z"),
    "api.md: 2 pipeline": ("", r"\A40424\n\Z"),
    "api.md: 3 structured": (FETCH_MAIN, r"\A1 body of y\nbad: no such host\n\Z"),
    "api.md: 5 a panic": (RISKY_MAIN, r"\Adone\nnegative\ndone\n3 -1\n\Z"),
    "api.md: 6 inside": ("\nint decode(const std::string& p) { std::puts(p.c_str()); return 0; }\n", r"\Aa.png\n\Z"),
    "api.md: 7 task": (SEARCH_MAIN, r"\A7\n\Z"),
    "api.md: 9 std guards": (QUEUE_MAIN, r"\A5 0\n\Z"),
    "api.md: 10 a test": ("", r"\A\Z"),
    "api.md: unbounded queue": (PUMP_MAIN, r"\A100\n\Z"),
    "api.md: dynamic fan-in": (MERGE_MAIN, r"\A6\n\Z"),
    "api.md: hedged request": (HEDGED_MAIN, r"\Asecond\n\Z"),
    "README.md: block 1": ("", r"\A385\n\Z"),
    TUTORIAL + ": block 1": ("", r"\A1\n2\n3\n\Z"),
}
LATER = ("api.md: 4 echo", "api.md: 8 collected")


def blocks(root):
    yield from examples_test.examples(root)
    with open(os.path.join(root, TUTORIAL), encoding="utf-8") as f:
        for i, code in enumerate(re.findall(r"```cpp\n(.*?)```", f.read(), re.S), 1):
            yield f"{TUTORIAL}: block {i}", code


def judge(root, library, scratch, code, want):
    source, program = os.path.join(scratch, "x.cpp"), os.path.join(scratch, "x")
    with open(source, "w", encoding="utf-8") as f:
        f.write(examples_test.PRELUDE + code)
    built = subprocess.run([compilers.found()[0], "-std=c++20", "-O1", f"-I{root}/include", source, library, "-pthread",
                            "-o", program], capture_output=True, text=True)
    if built.returncode != 0:
        return built.stderr[:2000]
    ran = subprocess.run([program], capture_output=True, text=True, timeout=60)
    if ran.returncode != 0 or not re.search(want, ran.stdout):
        return f"status {ran.returncode}, want output {want}, got\n{ran.stdout[:1000]}{ran.stderr[:1000]}"
    return None


def main(argv):
    p = argparse.ArgumentParser()
    p.add_argument("--root", required=True)
    p.add_argument("--library", required=True)
    args = p.parse_args(argv)
    problems, seen = [], set()
    with tempfile.TemporaryDirectory() as scratch:
        for name, code in blocks(args.root):
            key = next((k for k in RUNS if name.startswith(k)), None)
            if key is None:
                if re.search(r"^int main\(", code, re.M) and not name.startswith(LATER):
                    problems.append(f"{name}: a program that RUNS does not name")
                continue
            seen.add(key)
            problem = judge(args.root, args.library, scratch, code + RUNS[key][0], RUNS[key][1])
            if problem:
                problems.append(f"{name}: {problem}")
    problems += [f"{key}: no such block" for key in RUNS if key not in seen]
    for problem in problems:
        print(problem)
    print(f"examples: {len(seen)} ran, {len(problems)} problem(s)")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
