// The smallest program that runs the FIPS self-check.
package main

import (
	"crypto/sha256"
	"fmt"
)

func main() {
	sum := sha256.Sum256([]byte("abc"))
	fmt.Printf("hello %x\n", sum[:4])
}
