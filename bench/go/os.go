// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// What entering and leaving a system call costs: the best of ten loops of Syscall less that of RawSyscall.
func blockingCallExtra(n int) float64 {
	plain, handedOver := 1e9, 1e9
	for round := 0; round < 10; round++ {
		plain = min(plain, nsPerOp(n, func() {
			for i := 0; i < n; i++ {
				syscall.RawSyscall(syscall.SYS_GETPPID, 0, 0, 0)
			}
		}))
		handedOver = min(handedOver, nsPerOp(n, func() {
			for i := 0; i < n; i++ {
				syscall.Syscall(syscall.SYS_GETPPID, 0, 0, 0)
			}
		}))
	}
	return handedOver - plain
}

var spun atomic.Uint64

func neighbourWaitP99(n int) float64 {
	var stop atomic.Bool
	var wg sync.WaitGroup
	for i := 0; i < runtime.GOMAXPROCS(0); i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			var x uint64
			for !stop.Load() {
				for k := 0; k < 1000; k++ {
					x += uint64(k)
				}
			}
			spun.Add(x)
		}()
	}
	late := make([]float64, n)
	for i := range late {
		start := time.Now()
		time.Sleep(time.Millisecond)
		late[i] = float64(time.Since(start))/1e6 - 1
	}
	stop.Store(true)
	wg.Wait()
	sort.Float64s(late)
	fmt.Fprintf(os.Stderr, "median %.2f worst %.2f\n", late[n/2], late[n-1])
	return late[n*99/100]
}

func init() {
	entries["blocking_call_extra_ns"] = entry{1, "ns/op", blockingCallExtra}
	entries["preempt_neighbour_wait_p99_ms"] = entry{0, "ms", neighbourWaitP99}
}
