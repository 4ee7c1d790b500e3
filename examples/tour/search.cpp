// SPDX-License-Identifier: Apache-2.0
// A concurrent search: how many lines of each file below a directory contain a word?
//
//   search DIRECTORY WORD [TIMEOUT_MS]
//
//   walker --jobs--> worker x N --hits--> main: prints in the walker's order, whoever was faster
//
// What to look at: `produce` closes its channel by itself; the context reaches every wait, so that a time-out ends the
// walker, the workers and main alike; `blocking` hands the processor on while a file is read; no lock, no thread pool.
//
// RUN: /usr/include/linux int 20000
// STDOUT: ^\d+ files, \d+ with matches, \d+ matching lines$
#include <gort/gort.hpp>
#include <gort/runtime.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace fs = std::filesystem;

namespace {

struct job {
  std::size_t index;
  std::string path;
};

struct hit {
  std::size_t index;
  std::string path;
  std::size_t lines;
};

// Entries of one directory, sorted, so that every run finds the files in the same order.
std::vector<fs::directory_entry> entries(const fs::path& dir) {
  return gort::blocking([&] {
    std::error_code ignored;  // what cannot be read is left out, as with grep -s
    std::vector<fs::directory_entry> found;
    for (const auto& e : fs::directory_iterator(dir, ignored)) found.push_back(e);
    std::sort(found.begin(), found.end());
    return found;
  });
}

// walk sends every regular file below dir. An error means: the context is over, stop.
gort::error walk(const gort::context& ctx, const fs::path& dir, std::size_t& index,
                 const gort::send_chan<job>& out) {
  for (const auto& e : entries(dir)) {
    if (e.is_symlink()) continue;
    if (e.is_directory()) {
      if (auto err = walk(ctx, e.path(), index, out)) return err;
    } else if (e.is_regular_file()) {
      if (out.send(ctx, job{index++, e.path().string()}) != gort::chan_status::ok) return ctx.err();
    }
  }
  return {};
}

std::size_t count_lines(const std::string& path, std::string_view word) {
  const std::string text = gort::blocking([&] {
    std::ifstream in(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  });
  std::size_t n = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at)) {
    ++n;
    at = text.find('\n', at);
    if (at == std::string::npos) break;
  }
  return n;
}

// work takes jobs until there are no more, or the context is over.
void work(const gort::context& ctx, const gort::recv_chan<job>& jobs, std::string_view word,
          const gort::send_chan<hit>& hits) {
  while (auto j = jobs.recv(ctx)) {
    hit h{j->index, j->path, count_lines(j->path, word)};
    if (hits.send(ctx, std::move(h)) != gort::chan_status::ok) return;
  }
}

// in_order prints hits by index: those that come early wait in a map.
class in_order {
 public:
  void add(hit h) {
    early_.emplace(h.index, std::move(h));
    for (auto it = early_.find(next_); it != early_.end(); it = early_.find(++next_)) {
      print(it->second);
      early_.erase(it);
    }
  }
  void summary() const {
    std::printf("%zu files, %zu with matches, %zu matching lines\n", next_, matched_, lines_);
  }

 private:
  void print(const hit& h) {
    if (h.lines == 0) return;
    ++matched_;
    lines_ += h.lines;
    std::printf("%s:%zu\n", h.path.c_str(), h.lines);
  }
  std::map<std::size_t, hit> early_;
  std::size_t next_ = 0, matched_ = 0, lines_ = 0;
};

gort::error search_tree(const std::string& root, std::string_view word, std::chrono::milliseconds limit) {
  const auto ctx = gort::with_timeout(gort::background(), limit);
  auto jobs = gort::produce<job>(ctx, 64, [&root](const gort::context& c, const gort::send_chan<job>& out) {
    std::size_t index = 0;
    if (auto err = walk(c, root, index, out)) std::fprintf(stderr, "walker: %s\n", err.message().c_str());
  });

  auto hits = gort::make_chan<hit>(64);
  gort::wait_group workers;  // its destructor waits: the goroutines may refer to this frame
  for (int i = 0; i < 2 * gort::runtime::num_cpu(); ++i) workers.go([&] { work(ctx, jobs, word, hits); });
  const auto closer = gort::spawn([&] {
    workers.wait();
    hits.close();
  });

  in_order report;
  for (hit& h : hits) report.add(std::move(h));
  if (ctx.err()) return ctx.err().wrap("search");
  report.summary();
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: search DIRECTORY WORD [TIMEOUT_MS]\n");
    return 2;
  }
  const std::chrono::milliseconds limit(argc > 3 ? std::atoi(argv[3]) : 30000);
  return gort::run([&] { return search_tree(argv[1], argv[2], limit); });
}
