// SPDX-License-Identifier: Apache-2.0

package main

//go:noinline
func boom() { panic("x") }

//go:noinline
func panicAndRecover(count *int) {
	defer func() {
		if recover() != nil {
			*count++
		}
	}()
	boom()
}

func panicRecover(n int) float64 {
	count := 0
	ns := nsPerOp(n, func() {
		for i := 0; i < n; i++ {
			panicAndRecover(&count)
		}
	})
	require(count == n, "recovered all")
	return ns
}

func init() { entries["panic_recover"] = entry{1, "ns/op", panicRecover} }
