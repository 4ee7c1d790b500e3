// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"sync"
)

func echo(a, b chan int) {
	for v := range a {
		b <- v
	}
}

func roundTrips(a, b chan int, n int) float64 {
	ns := nsPerOp(n, func() {
		for i := 0; i < n; i++ {
			a <- i
			require(<-b == i, "echo")
		}
	})
	close(a)
	return ns
}

func unbufferedRt(n int) float64 {
	a, b := make(chan int), make(chan int)
	go echo(a, b)
	return roundTrips(a, b, n)
}

func unbufferedRtCrossing(n int) float64 {
	a, b := make(chan int), make(chan int)
	go func() {
		runtime.LockOSThread()
		echo(a, b)
	}()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return roundTrips(a, b, n)
}

func buffered(n int) float64 {
	c := make(chan int, 128)
	return nsPerOp(n, func() {
		go func() {
			for i := 0; i < n; i++ {
				c <- i
			}
			close(c)
		}()
		sum := 0
		for v := range c {
			sum += v
		}
		require(sum == n*(n-1)/2, "sum")
	})
}

func sameGoroutine(n int) float64 {
	c := make(chan int, 1)
	return nsPerOp(n, func() {
		for i := 0; i < n; i++ {
			c <- i
			<-c
		}
	})
}

func endlessSenders(k int) []chan int {
	chans := make([]chan int, k)
	for i := range chans {
		c := make(chan int)
		chans[i] = c
		go func() {
			for {
				c <- 1
			}
		}()
	}
	return chans
}

func select2(n int) float64 {
	c := endlessSenders(2)
	a, b := c[0], c[1]
	return nsPerOp(n, func() {
		for i := 0; i < n; i++ {
			select {
			case <-a:
			case <-b:
			}
		}
	})
}

func select4(n int) float64 {
	ch := endlessSenders(4)
	a, b, c, d := ch[0], ch[1], ch[2], ch[3]
	return nsPerOp(n, func() {
		for i := 0; i < n; i++ {
			select {
			case <-a:
			case <-b:
			case <-c:
			case <-d:
			}
		}
	})
}

func select8(n int) float64 {
	ch := endlessSenders(8)
	a, b, c, d, e, f, g, h := ch[0], ch[1], ch[2], ch[3], ch[4], ch[5], ch[6], ch[7]
	return nsPerOp(n, func() {
		for i := 0; i < n; i++ {
			select {
			case <-a:
			case <-b:
			case <-c:
			case <-d:
			case <-e:
			case <-f:
			case <-g:
			case <-h:
			}
		}
	})
}

func selectDefault(n int) float64 {
	in, out := make(chan int), make(chan int)
	return nsPerOp(n, func() {
		for i := 0; i < n; i++ {
			select {
			case <-in:
				require(false, "receive")
			case out <- i:
				require(false, "send")
			default:
			}
		}
	})
}

func selectDefault1(n int) float64 {
	in := make(chan int)
	return nsPerOp(n, func() {
		for i := 0; i < n; i++ {
			select {
			case <-in:
				require(false, "receive")
			default:
			}
		}
	})
}

func fan(producers, consumers, n int) float64 {
	c := make(chan int, 64)
	results := make(chan int)
	each := n / producers
	var wg sync.WaitGroup
	return nsPerOp(n, func() {
		for p := 0; p < producers; p++ {
			wg.Add(1)
			go func() {
				for i := 0; i < each; i++ {
					c <- 1
				}
				wg.Done()
			}()
		}
		for k := 0; k < consumers; k++ {
			go func() {
				sum := 0
				for v := range c {
					sum += v
				}
				results <- sum
			}()
		}
		wg.Wait()
		close(c)
		sum := 0
		for k := 0; k < consumers; k++ {
			sum += <-results
		}
		require(sum == each*producers, "fan sum")
	})
}

func init() {
	entries["chan_unbuffered_rt"] = entry{1, "ns/op", unbufferedRt}
	entries["chan_unbuffered_rt_2p"] = entry{2, "ns/op", unbufferedRtCrossing}
	entries["chan_unbuffered_rt_2p_free"] = entry{2, "ns/op", unbufferedRt}
	entries["chan_buffered_1p"] = entry{1, "ns/op", buffered}
	entries["chan_buffered_2p"] = entry{2, "ns/op", buffered}
	entries["chan_cap1_same_g"] = entry{1, "ns/op", sameGoroutine}
	entries["select2"] = entry{1, "ns/op", select2}
	entries["select4"] = entry{1, "ns/op", select4}
	entries["select8"] = entry{1, "ns/op", select8}
	entries["select_default"] = entry{1, "ns/op", selectDefault}
	entries["select_default1"] = entry{1, "ns/op", selectDefault1}
	for procs, suffix := range map[int]string{1: "", 2: "_2p"} {
		entries["fan_8x1"+suffix] = entry{procs, "ns/op", func(n int) float64 { return fan(8, 1, n) }}
		entries["fan_1x8"+suffix] = entry{procs, "ns/op", func(n int) float64 { return fan(1, 8, n) }}
		entries["fan_8x8"+suffix] = entry{procs, "ns/op", func(n int) float64 { return fan(8, 8, n) }}
	}
}
