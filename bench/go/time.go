// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"sort"
	"sync"
	"syscall"
	"time"
)

func timerNewStop(n int) float64 {
	return nsPerOp(n, func() {
		for i := 0; i < n; i++ {
			require(time.NewTimer(time.Hour).Stop(), "timer was active")
		}
	})
}

func cpuNs() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return float64(u.Utime.Nano() + u.Stime.Nano())
}

func nextMs(state *uint32) time.Duration {
	*state = *state*1664525 + 1013904223
	return time.Duration(1+(*state>>16)%100) * time.Millisecond
}

func sleepersCPU(n int) float64 {
	const sleeps = 5
	var wg sync.WaitGroup
	start := cpuNs()
	for i := 0; i < n; i++ {
		wg.Add(1)
		state := uint32(i)
		go func() {
			for k := 0; k < sleeps; k++ {
				time.Sleep(nextMs(&state))
			}
			wg.Done()
		}()
	}
	wg.Wait()
	return (cpuNs() - start) / float64(n*sleeps)
}

func sleepOvershoot50us(n int) float64 {
	late := make([]float64, n)
	sum := 0.0
	for i := range late {
		t := time.Now()
		time.Sleep(50 * time.Microsecond)
		late[i] = float64(time.Since(t).Nanoseconds())/1e3 - 50
		sum += late[i]
	}
	sort.Float64s(late)
	fmt.Fprintf(os.Stderr, "p50 %.1f us, max %.1f us\n", late[n/2], late[n-1])
	return sum / float64(n)
}

func init() {
	entries["timer_new_stop"] = entry{1, "ns/op", timerNewStop}
	entries["sleepers_100k_cpu"] = entry{0, "ns/op", sleepersCPU}
	entries["sleep_overshoot_50us"] = entry{1, "us", sleepOvershoot50us}
}
