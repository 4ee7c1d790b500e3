// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"
)

func residentBytes() float64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	total := 0
	for _, line := range strings.Split(string(b), "\n") {
		var kib int
		for _, key := range []string{"VmRSS:", "VmPTE:"} {
			if strings.HasPrefix(line, key) {
				fmt.Sscanf(line[len(key):], "%d", &kib)
				total += kib
			}
		}
	}
	return float64(total) * 1024
}

func parked(n int) float64 {
	const batch = 1024
	gate, up := make(chan struct{}), make(chan struct{}, batch)
	before := residentBytes()
	waiting := 0
	for i := 0; i < n; i++ {
		go func() {
			up <- struct{}{}
			<-gate
			up <- struct{}{}
		}()
		waiting++
		if waiting < batch && i+1 < n {
			continue
		}
		for ; waiting > 0; waiting-- {
			<-up
		}
	}
	bytes := (residentBytes() - before) / float64(n)
	close(gate)
	for i := 0; i < n; i++ {
		<-up
	}
	return bytes
}

func init() { entries["parked_1m_bytes"] = entry{1, "B", parked} }
