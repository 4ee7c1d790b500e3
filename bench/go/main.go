// SPDX-License-Identifier: Apache-2.0

// The benchmarks in Go: `prog BENCH N` runs one with N operations and prints `BENCH value unit`, as bench/gort does.
// Built without a module (go build *.go), so that the newest toolchain's own language and timer rules apply.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
)

type entry struct {
	procs int // 0: as many as there are processors
	unit  string
	body  func(n int) float64
}

var entries = map[string]entry{}

func nsPerOp(n int, f func()) float64 {
	t := time.Now()
	f()
	return float64(time.Since(t).Nanoseconds()) / float64(n)
}

func require(ok bool, what string) {
	if !ok {
		panic("wrong result: " + what)
	}
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: prog BENCH N")
		os.Exit(64)
	}
	n, err := strconv.Atoi(os.Args[2])
	e, ok := entries[os.Args[1]]
	if err != nil || n <= 0 || !ok {
		fmt.Fprintln(os.Stderr, "no such benchmark, or a bad N:", os.Args[1:])
		os.Exit(64)
	}
	if e.procs != 0 {
		runtime.GOMAXPROCS(e.procs)
	}
	fmt.Printf("%s %.4g %s\n", os.Args[1], e.body(n), e.unit)
}
