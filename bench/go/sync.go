// SPDX-License-Identifier: Apache-2.0

package main

import "sync"

func mutexUncontended(n int) float64 {
	var mu sync.Mutex
	x := 0
	ns := nsPerOp(n, func() {
		for i := 0; i < n; i++ {
			mu.Lock()
			x++
			mu.Unlock()
		}
	})
	require(x == n, "count")
	return ns
}

func mutexContended8(n int) float64 {
	const goroutines = 8
	var mu sync.Mutex
	var wg sync.WaitGroup
	each := n / goroutines
	x := 0
	ns := nsPerOp(n, func() {
		for g := 0; g < goroutines; g++ {
			wg.Add(1)
			go func() {
				for i := 0; i < each; i++ {
					mu.Lock()
					x++
					mu.Unlock()
				}
				wg.Done()
			}()
		}
		wg.Wait()
	})
	require(x == each*goroutines, "count")
	return ns
}

func rwmutexRlock(n int) float64 {
	var mu sync.RWMutex
	x := 0
	ns := nsPerOp(n, func() {
		for i := 0; i < n; i++ {
			mu.RLock()
			x++
			mu.RUnlock()
		}
	})
	require(x == n, "count")
	return ns
}

func waitGroupAddDone(n int) float64 {
	var wg sync.WaitGroup
	return nsPerOp(n, func() {
		for i := 0; i < n; i++ {
			wg.Add(1)
			wg.Done()
		}
	})
}

func onceDone(n int) float64 {
	var once sync.Once
	x := 0
	ns := nsPerOp(n, func() {
		for i := 0; i < n; i++ {
			once.Do(func() { x++ })
		}
	})
	require(x == 1, "once")
	return ns
}

func init() {
	entries["mutex_uncontended"] = entry{1, "ns/op", mutexUncontended}
	entries["mutex_contended8"] = entry{2, "ns/op", mutexContended8}
	entries["rwmutex_rlock"] = entry{1, "ns/op", rwmutexRlock}
	entries["waitgroup_add_done"] = entry{1, "ns/op", waitGroupAddDone}
	entries["once_done"] = entry{1, "ns/op", onceDone}
}
