// Plugin one makes shapes.
package main

import (
	"example.test/plugins/shared"
)

// Name is looked up as a variable.
var Name = "one"

// Make returns a shape of the shared package.
func Make(side int) any {
	shared.Count += 10
	return shared.Square{Side: side}
}

func init() { shared.Count += 100 }
