// SPDX-License-Identifier: Apache-2.0
// Promela model of select against close.      (src/lang/select.cpp, chan.cpp; Go: select.go, chan.go)
// S selects {receive a, receive b, timer}; R receives from a; closer closes a; sender sends on b. Whatever S got, it
// then makes sure of b's value. Claims: everybody comes to an end; nobody is readied who is not parked; the value arrives
// once; S stands in no queue when its select has returned.
// Mutations: MUT_NO_CAS MUT_COMMIT_FIRST MUT_NO_LEAVE MUT_UNLOCKED_LOOK MUT_TIMER_OPEN MUT_CLOSE_FORGETS MUT_EARLY_PARK

#define A 0
#define B 1
#define NONE 9
#define TIMER 2

// selectDone
#define OPEN 0
#define WON 1
#define ARMING 2
#define FIRED_EARLY 3

bit lck[2];
bit closedA;
bit queuedS[2];                 // a sudog of S in the receive queue of a, b
bit queuedR;                    // R in the receive queue of a
bit queuedSend;                 // the sender in the send queue of b
byte selectDone;
bit parkedS, parkedR, parkedSend;
byte firedS = NONE;             // what ended S's wait
bit armed, timerRuns;
byte delivered;
bit started, noSender;          // the scenario: whether anything will ever come on b

inline lock(c) { atomic { lck[c] == 0 -> lck[c] = 1 } }
inline unlock(c) { lck[c] = 0 }

// win tries selectDone OPEN -> WON for a peer.
inline win(ok) {
  atomic {
#ifdef MUT_NO_CAS
    ok = 1;
    selectDone = WON
#else
    if
    :: selectDone == OPEN -> selectDone = WON; ok = 1
    :: else -> ok = 0
    fi
#endif
  }
}

inline readyS(what) {
  atomic {
    assert(parkedS);
    firedS = what;
    parkedS = 0
  }
}

active proctype S() {
  bit stay;
  byte got = NONE;
  started;
#ifndef MUT_UNLOCKED_LOOK
  lock(A);
  lock(B);
#endif
  if
  :: closedA -> got = A
  :: else ->
     if
     :: queuedSend -> got = B
     :: else -> skip
     fi
  fi;
#ifdef MUT_UNLOCKED_LOOK
  lock(A);
  lock(B);
#endif
  if
  :: got == A -> unlock(A); unlock(B); goto second
  :: got == B ->
     queuedSend = 0;
     delivered++;
     unlock(A);
     unlock(B);
     assert(parkedSend);
     parkedSend = 0;
     goto second
  :: else -> skip
  fi;
  queuedS[A] = 1;
  queuedS[B] = 1;
#ifdef MUT_TIMER_OPEN
  selectDone = OPEN;
#else
  selectDone = ARMING;
#endif
  armed = 1;
  // gopark with selparkcommit
#ifndef MUT_COMMIT_FIRST
  parkedS = 1;
#endif
  stay = 1;
#ifndef MUT_TIMER_OPEN
  atomic {
    if
    :: selectDone == ARMING -> selectDone = OPEN
    :: else -> stay = 0
    fi
  };
#endif
#ifdef MUT_EARLY_PARK
  stay = 1;
#endif
  unlock(A);
  unlock(B);
#ifdef MUT_COMMIT_FIRST
  parkedS = 1;
#endif
  if
  :: stay -> parkedS == 0
  :: else -> parkedS = 0; firedS = TIMER
  fi;
  // timerStop
  armed = 0;
  timerRuns == 0;
  // leaveQueues
#ifndef MUT_NO_LEAVE
  if
  :: firedS != A -> lock(A); queuedS[A] = 0; unlock(A)
  :: else -> skip
  fi;
  if
  :: firedS != B -> lock(B); queuedS[B] = 0; unlock(B)
  :: else -> skip
  fi;
#endif
  got = firedS;
  assert(!queuedS[A] && !queuedS[B]);
  if
  :: got == B -> goto over
  :: else -> skip
  fi;
second:
  // Receive from b, unless the select has.
  if
  :: got == B || noSender -> goto over
  :: else -> skip
  fi;
  lock(B);
  if
  :: queuedSend ->
     queuedSend = 0;
     delivered++;
     unlock(B);
     assert(parkedSend);
     parkedSend = 0
  :: else ->
     selectDone = OPEN;         // a plain receive, seen by the sender as any other
     queuedS[B] = 1;
     parkedS = 1;
     unlock(B);
     parkedS == 0
  fi;
over:
  skip
}

active proctype R() {
  lock(A);
  if
  :: closedA -> unlock(A)
  :: else ->
     queuedR = 1;
     parkedR = 1;
     unlock(A);
     parkedR == 0
  fi
}

active proctype closer() {
  bit wakeS, wakeR, ok;
  lock(A);
  closedA = 1;
#ifndef MUT_CLOSE_FORGETS
  if
  :: queuedS[A] ->
     queuedS[A] = 0;
     win(ok);
     wakeS = ok
  :: else -> skip
  fi;
#endif
  if
  :: queuedR -> queuedR = 0; wakeR = 1
  :: else -> skip
  fi;
  unlock(A);
  if
  :: wakeS -> readyS(A)
  :: else -> skip
  fi;
  if
  :: wakeR -> assert(parkedR); parkedR = 0
  :: else -> skip
  fi
}

active proctype sender() {
  bit ok;
  started;
  if
  :: noSender -> goto over
  :: else -> skip
  fi;
  lock(B);
  ok = 0;
  if
  :: queuedS[B] ->
     queuedS[B] = 0;
     win(ok)
  :: else -> skip
  fi;
  if
  :: ok ->
     delivered++;
     unlock(B);
     readyS(B)
  :: else ->
     queuedSend = 1;
     parkedSend = 1;
     unlock(B);
     parkedSend == 0
  fi;
over:
  skip
}

active proctype timer() {
  bit ok;
  if
  :: atomic { armed -> armed = 0; timerRuns = 1 }
  :: skip -> goto over          // its time does not come
  fi;
  atomic {
    if
    :: selectDone == ARMING -> selectDone = FIRED_EARLY; ok = 0
    :: selectDone == OPEN -> selectDone = WON; ok = 1
    :: else -> ok = 0
    fi
  };
  if
  :: ok -> readyS(TIMER)
  :: else -> skip
  fi;
  timerRuns = 0;
over:
  skip
}

active proctype judge() {
  atomic {
    if
    :: noSender = 1
    :: skip
    fi;
    started = 1
  };
  timeout;
  assert(delivered == 1 - noSender);
  assert(!queuedR && !queuedSend && !queuedS[A] && !queuedS[B])
}
