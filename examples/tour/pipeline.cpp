// SPDX-License-Identifier: Apache-2.0
// A pipeline with select and time-outs.
//
//   sensor "door"  --\                          /--> archive (slow: takes one reading every 40 ms)
//   sensor "oven"  ---> collect: one select  --+
//                        with four cases        \--> alarm, when nothing was heard for 150 ms
//
// What to look at: cases are objects that live across the loop; `put` is armed only while something is queued, so one
// select both receives and sends; a closed source is switched off; the time-out starts anew with every select, and is
// switched off after the first alarm.
// Under GODEBUG=sim=SEED the same program runs in virtual time: same output, no waiting.
//
// RUN:
// STDOUT: \Acollect: both sensors run\n
// STDOUT: ^archive: door \d$
// STDOUT: ^alarm: nothing heard for 150 ms$
// STDOUT: ^collect: sensors are closed, 0 readings left over$
// STDOUT: ^archived 8 of 8 readings, 1 alarm$
#include <gort/gort.hpp>

#include <cstdio>
#include <deque>
#include <string>

using namespace std::chrono_literals;

namespace {

struct reading {
  std::string sensor;
  int value;
};

// A sensor sends n readings, one every 30 ms; in the middle it may fall silent for a while.
gort::recv_chan<reading> sensor(const std::string& name, int n, gort::clock::duration pause) {
  return gort::produce<reading>(0, [=](const gort::send_chan<reading>& out) {
    for (int i = 1; i <= n; ++i) {
      gort::sleep(i == 3 ? pause : 30ms);
      out.send({name, i});
    }
  });  // the channel is closed here
}

// collect forwards readings to `out`, queueing what the archive cannot take yet, and counts alarms.
int collect(const gort::recv_chan<reading>& door, const gort::recv_chan<reading>& oven,
            const gort::send_chan<reading>& out) {
  auto closing = out.close_on_exit();
  std::deque<reading> queue;
  int alarms = 0, open = 2;
  gort::recv_case from_door{door};
  gort::recv_case from_oven{oven};
  gort::send_case<reading> put{out};
  gort::timeout_case silence{150ms};

  std::puts("collect: both sensors run");
  while (open > 0 || !queue.empty()) {
    if (queue.empty()) {
      put.enable(false);
    } else {
      put.arm(gort::take_from(queue.front()));  // moved from only if this case is chosen
    }
    silence.enable(open > 0 && alarms == 0);
    const auto hit = gort::select(from_door, from_oven, put, silence);
    if (hit == put) {
      queue.pop_front();
    } else if (hit == silence) {
      std::puts("alarm: nothing heard for 150 ms");
      ++alarms;
    } else {
      auto& source = hit == from_door ? from_door : from_oven;
      if (source) {
        queue.push_back(*source.take());
      } else {
        source.enable(false);  // closed: as if its channel were nil
        --open;
      }
    }
  }
  std::printf("collect: sensors are closed, %zu readings left over\n", queue.size());
  return alarms;
}

void program() {
  auto door = sensor("door", 4, 30ms);
  auto oven = sensor("oven", 4, 700ms);  // silent for longer than the alarm allows
  auto store = gort::make_chan<reading>();
  auto alarms = gort::spawn([=] { return collect(door, oven, store); });

  int archived = 0;
  for (const reading& r : store) {
    std::printf("archive: %s %d\n", r.sensor.c_str(), r.value);
    gort::sleep(40ms);
    ++archived;
  }
  const int n = alarms.join();
  std::printf("archived %d of 8 readings, %d alarm%s\n", archived, n, n == 1 ? "" : "s");
}

}  // namespace

int main() { return gort::run(program); }
