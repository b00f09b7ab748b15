// Plugin two describes them, and starts goroutines of its own.
package main

import (
	"errors"
	"example.test/plugins/shared"
)

type circle struct{ r int }

func (c circle) Area() int { return 3 * c.r * c.r }

// Make returns a shape only this plugin knows.
func Make(side int) any { return circle{side} }

// Describe is the shared package's, called from here.
func Describe(shape any) (text string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("recovered")
		}
	}()
	done := make(chan string)
	go func() { done <- shared.Describe(shape) }()
	text = <-done
	if text == "unknown" {
		panic(text)
	}
	return text, nil
}

func init() { shared.Count += 1000 }
