// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
)

func listenHere() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require(err == nil, "listen")
	return l
}

func announce() net.Listener {
	l := listenHere()
	fmt.Printf("port %d\n", l.Addr().(*net.TCPAddr).Port)
	return l
}

func echoConn(c net.Conn) {
	defer c.Close()
	var buf [4096]byte
	for {
		n, err := c.Read(buf[:])
		if err != nil {
			return
		}
		if _, err = c.Write(buf[:n]); err != nil {
			return
		}
	}
}

func serveEcho(int) float64 {
	l := announce()
	for {
		c, err := l.Accept()
		require(err == nil, "accept")
		go echoConn(c)
	}
}

func serveHTTP(int) float64 {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, "hello\n")
	})
	require(http.Serve(announce(), nil) == nil, "serve")
	return 0
}

func dialClose(n int) float64 {
	l := listenHere()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				var b [1]byte
				c.Read(b[:])
				c.Close()
			}()
		}
	}()
	where := l.Addr().String()
	ns := nsPerOp(n, func() {
		for i := 0; i < n; i++ {
			c, err := net.Dial("tcp", where)
			require(err == nil, "dial")
			c.Close()
		}
	})
	l.Close()
	return ns / 1e3
}

func init() {
	entries["serve_echo"] = entry{0, "", serveEcho}
	entries["serve_echo_1p"] = entry{1, "", serveEcho}
	entries["serve_http"] = entry{0, "", serveHTTP}
	entries["dial_close_us"] = entry{0, "us", dialClose}
}
