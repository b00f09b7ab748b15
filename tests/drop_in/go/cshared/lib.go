// A c-shared library: goroutines, maps, the collector, a C callback, a recovered nil pointer.
package main

/*
#include <stdint.h>
typedef int (*callback)(int);
static inline int call(callback f, int x) { return f(x); }
static _Thread_local int perThread = 5;
static inline int bump(void) { return ++perThread; }
static int constructed;
__attribute__((constructor)) static void construct(void) { constructed = 11; }
static inline int wasConstructed(void) { return constructed; }
*/
import "C"

import (
	"crypto/sha256"
	"fmt"
	"runtime"
	"sort"
	"strings"
	"sync"
)

var ready = func() int { return 3 }()

//export DemoAdd
func DemoAdd(a, b C.int) C.int { return a + b + C.int(ready) }

//export DemoGoroutines
func DemoGoroutines(n C.int) C.long {
	var wait sync.WaitGroup
	results := make(chan int64, n)
	for i := 0; i < int(n); i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			words := make(map[string]int)
			for j := 0; j < 1000; j++ {
				words[fmt.Sprint("w", (i*j)%37)] += j
			}
			results <- int64(len(words))
		}()
	}
	runtime.GC()
	wait.Wait()
	close(results)
	var sum int64
	for r := range results {
		sum += r
	}
	return C.long(sum)
}

//export DemoText
func DemoText() *C.char {
	words := strings.Fields("the quick brown fox")
	sort.Strings(words)
	return C.CString(fmt.Sprintf("%s %x", strings.Join(words, ","), sha256.Sum256([]byte("abc")))[:36])
}

//export DemoCallback
func DemoCallback(f C.callback) C.int { return C.call(f, 20) + 1 }

//export DemoRecover
func DemoRecover() (result C.int) {
	defer func() {
		if recover() != nil {
			result = 99
		}
	}()
	var nothing *struct{ field int }
	return C.int(nothing.field)
}

//export DemoC
func DemoC() C.int { return C.bump()*100 + C.wasConstructed() }

func main() {}
