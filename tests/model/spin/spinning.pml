// SPDX-License-Identifier: Apache-2.0
// Promela model of the spinning handshake (src/sched/proc.cpp, Note [Spinning handshake]; Go: proc.go).
// P0 runs a goroutine for ever and submits WORK others like it, through a store buffer (x86: a put to the ring is a plain
// store). The other Ps are only counted. An M that has found a goroutine keeps its P for ever. sysmon hands over a P that
// was in a system call. Claim, when nothing can move: no P is idle while there is work, and nobody is counted as spinning.
// Mutations: MUT_NO_FENCE MUT_NO_RECHECK MUT_LATE_DROP MUT_SPINNERS_ONLY MUT_NO_CHAIN MUT_LEAK MUT_HANDOFF

#define WORK 2

byte npidle;
byte nmspinning = 1;            // one M spins from the start
byte runq;                      // visible work
byte buffered;                  // work in the submitter's store buffer
byte sleeping;                  // Ms in sched.midle
byte wakeSpinning, wakeQuiet;   // wake-ups on their way, by what startm said

// Every critical section of sched.lock here has one visible effect: it is one atomic step.

inline startm(spinning) {
  atomic {
    if
    :: sleeping > 0 ->
       sleeping--;
       if
       :: spinning -> wakeSpinning++
       :: else -> wakeQuiet++
       fi
    :: else -> run M(1, spinning)
    fi
  }
}

inline wakep() {
  if
  :: npidle == 0 -> skip
  :: else ->
     if
     :: nmspinning != 0 -> skip
     :: else ->
        atomic {
          if
          :: nmspinning == 0 -> nmspinning = 1; won = 1
          :: else -> won = 0
          fi
        }
        if
        :: won ->
           atomic {
             won = 0;
             if
             :: npidle > 0 -> npidle--; won = 1
             :: else ->
#ifndef MUT_LEAK
                nmspinning--;
#endif
                skip
             fi
           }
           if
           :: won -> startm(1)
           :: else -> skip
           fi
        :: else -> skip
        fi
     fi
  fi
}

// An M with a P (hasP) looks for work, or sleeps until startm hands it one.
proctype M(bit hasP; bit spins) {
  bit won, was, found;
  if
  :: hasP -> goto find
  :: else -> goto sleep
  fi;
find:
  atomic {
    if
    :: runq > 0 -> runq--; found = 1
    :: else -> found = 0
    fi
  }
  if
  :: found ->
     if
     :: spins ->
        spins = 0;
        assert(nmspinning > 0);
        nmspinning--;
#ifndef MUT_NO_CHAIN
        wakep();
#endif
     :: else -> skip
     fi;
     goto done                  // runs it for ever
  :: else -> skip
  fi;
  // idle
  atomic {
    npidle++;
    was = spins;
    spins = 0
  };
#ifndef MUT_LATE_DROP
  if
  :: was -> assert(nmspinning > 0); nmspinning--
  :: else -> skip
  fi;
#endif
  found = 0;
#ifndef MUT_NO_RECHECK
#ifdef MUT_SPINNERS_ONLY
  found = (was && runq > 0);
#else
  found = (runq > 0);
#endif
#endif
#ifdef MUT_LATE_DROP
  if
  :: was -> nmspinning--
  :: else -> skip
  fi;
#endif
  if
  :: found ->
     atomic {
       found = 0;
       if
       :: npidle > 0 -> npidle--; found = 1
       :: else -> skip
       fi
     }
     if
     :: found ->
        spins = 1;
        nmspinning++;
        goto find
     :: else -> skip
     fi
  :: else -> skip
  fi;
sleep:
  atomic { sleeping++; found = 0; was = 0; won = 0 };
end:
  if
  :: atomic { wakeSpinning > 0 -> wakeSpinning--; spins = 1 }
  :: atomic { wakeQuiet > 0 -> wakeQuiet--; spins = 0 }
  fi;
  goto find;
done:
  skip
}

// The store buffer of the submitter's processor.
active proctype buffer() {
end:
  do
  :: atomic { buffered > 0 -> buffered--; runq++ }
  od
}

active proctype submitter() {
  bit won;
  byte i;
  do
  :: i < WORK ->
     i++;
     buffered++;
#ifndef MUT_NO_FENCE
     buffered == 0;
#endif
     wakep()
  :: else -> break
  od
}

// handoffp of a P that comes out of a system call.
proctype sysmon() {
  bit won;
  if
  :: nmspinning + npidle == 0 ->
     atomic {
       if
       :: nmspinning == 0 -> nmspinning = 1; won = 1
       :: else -> skip
       fi
     }
  :: else -> skip
  fi;
  if
  :: won -> startm(1)
  :: else ->
     npidle++;
#ifndef MUT_HANDOFF
     if
     :: runq > 0 ->
        atomic {
          if
          :: npidle > 0 -> npidle--; won = 1
          :: else -> skip
          fi
        }
        if
        :: won -> startm(0)
        :: else -> skip
        fi
     :: else -> skip
     fi
#endif
  fi
}

init {
  atomic {
    run M(1, 1);                // the spinner
    if
    :: npidle = 1; run M(1, 0)  // one that has just ended a goroutine, and an idle P
    :: runq = 1; run sysmon()   // no idle P; the spinner is about to find something
    fi
  }
  timeout;
  assert(npidle == 0 || runq == 0);
  assert(nmspinning == 0)
}
