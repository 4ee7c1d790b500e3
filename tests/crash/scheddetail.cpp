// SPDX-License-Identifier: Apache-2.0
// GODEBUG=scheddetail: a line for every P, M and G.
// RUN-ENV: GODEBUG=schedtrace=50,scheddetail=1 GOMAXPROCS=2
// STDERR: ^SCHED \d+ms: gomaxprocs=2 idleprocs=2 threads=\d+ spinningthreads=0 needspinning=0 idlethreads=\d+ runqueue=0 gcwaiting=false nmidlelocked=\d+ stopwait=0 sysmonwait=(true|false)$
// STDERR: ^  P0: status=0 schedtick=\d+ syscalltick=\d+ m=nil runqsize=0 gfreecnt=\d+ timerslen=\d+$
// STDERR: ^  P1: status=0
// STDERR: ^  M\d+: p=nil curg=nil mallocing=0 throwing=0 preemptoff= locks=\d+ dying=0 spinning=false blocked=(true|false) lockedg=nil$
// STDERR: ^  M0:
// STDERR: ^  G1: status=4\(sleep\) m=nil lockedm=nil$
#include <gort/gort.hpp>
int main() {
  return gort::run([] { gort::sleep(std::chrono::milliseconds(400)); });
}
