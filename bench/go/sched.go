// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"sync"
)

func yieldTurns(n int) float64 {
	var wg sync.WaitGroup
	return nsPerOp(n, func() {
		wg.Add(2)
		for g := 0; g < 2; g++ {
			go func() {
				for i := 0; i < n/2; i++ {
					runtime.Gosched()
				}
				wg.Done()
			}()
		}
		wg.Wait()
	})
}

func spawnJoin(n int) float64 {
	var wg sync.WaitGroup
	return nsPerOp(n, func() {
		for i := 0; i < n; i++ {
			wg.Add(1)
			go func() { wg.Done() }()
			wg.Wait()
		}
	})
}

func spawnBatch1000(n int) float64 {
	const size = 1000
	var wg sync.WaitGroup
	batch := func() {
		for k := 0; k < size; k++ {
			wg.Add(1)
			go func() { wg.Done() }()
		}
		wg.Wait()
	}
	batch()
	return nsPerOp(n, func() {
		for i := 0; i < n; i += size {
			batch()
		}
	})
}

func fib(n int) int {
	if n < 2 {
		return n
	}
	c := make(chan int, 1)
	go func() { c <- fib(n - 1) }()
	b := fib(n - 2)
	return <-c + b
}

func fib23Tree(n int) float64 {
	tree := func() { require(fib(23) == 28657, "fib(23)") }
	tree()
	return nsPerOp(n, func() {
		for i := 0; i < n; i++ {
			tree()
		}
	}) / 1e6
}

func generate(out chan<- int) {
	for i := 2; ; i++ {
		out <- i
	}
}

func filter(in <-chan int, out chan<- int, prime int) {
	for {
		if i := <-in; i%prime != 0 {
			out <- i
		}
	}
}

func sieve500(n int) float64 {
	return nsPerOp(n, func() {
		for r := 0; r < n; r++ {
			ch := make(chan int)
			go generate(ch)
			prime := 0
			for i := 0; i < 500; i++ {
				prime = <-ch
				next := make(chan int)
				go filter(ch, next, prime)
				ch = next
			}
			require(prime == 3571, "500th prime")
		}
	}) / 1e6
}

func init() {
	entries["yield"] = entry{1, "ns/op", yieldTurns}
	entries["spawn_join"] = entry{1, "ns/op", spawnJoin}
	entries["spawn_batch1000"] = entry{1, "ns/op", spawnBatch1000}
	entries["fib23_tree"] = entry{1, "ms", fib23Tree}
	entries["fib23_tree_2p"] = entry{2, "ms", fib23Tree}
	entries["sieve500"] = entry{1, "ms", sieve500}
	entries["sieve500_2p"] = entry{2, "ms", sieve500}
}
