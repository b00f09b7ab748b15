// A c-shared library with C++ in it: exceptions below Go, thread-local strings, a template in two files.
package main

/*
int thrown(int value);
int perThread(int value);
int largest(int a, int b);
int largestToo(int a, int b);
*/
import "C"

//export DemoThrown
func DemoThrown(value C.int) C.int {
	results := make(chan C.int)
	go func() { results <- C.thrown(value) }()
	return <-results
}

//export DemoPerThread
func DemoPerThread(value C.int) C.int { return C.perThread(value) }

//export DemoLargest
func DemoLargest(a, b C.int) C.int { return C.largest(a, b)*100 + C.largestToo(a, b) }

func main() {}
