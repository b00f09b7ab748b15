// The host loads both plugins and passes values between them.
package main

import (
	"fmt"
	"os"
	"plugin"

	"example.test/plugins/shared"
)

func load(path string) *plugin.Plugin {
	p, err := plugin.Open(path)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	return p
}

func symbol[T any](p *plugin.Plugin, name string) T {
	s, err := p.Lookup(name)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	return s.(T)
}

func main() {
	one, two := load(os.Args[1]), load(os.Args[2])
	fmt.Println(shared.Count, shared.Initialised, *symbol[*string](one, "Name"))
	square := symbol[func(int) any](one, "Make")(4)
	circle := symbol[func(int) any](two, "Make")(2)
	describe := symbol[func(any) (string, error)](two, "Describe")
	for _, shape := range []any{square, circle, 1} {
		fmt.Println(describe(shape))
	}
	_, isShape := circle.(shared.Shape)
	fmt.Println(shared.Describe(square), isShape, shared.Count)
}
