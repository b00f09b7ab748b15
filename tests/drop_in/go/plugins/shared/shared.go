// Package shared is linked into the host and both plugins and must be one copy.
package shared

import "fmt"

// Count is one variable in the whole process.
var Count int

// Shape is a type whose descriptor must be one, for type switches to work.
type Shape interface{ Area() int }

// Square is made in one module and recognised in another.
type Square struct{ Side int }

// Area of a square.
func (s Square) Area() int { return s.Side * s.Side }

// Initialised counts how often this package's initialiser ran.
var Initialised = func() int { Count++; return Count }()

// Describe switches on the type.
func Describe(shape any) string {
	switch s := shape.(type) {
	case Square:
		return fmt.Sprintf("square %d", s.Area())
	case Shape:
		return fmt.Sprintf("shape %d", s.Area())
	}
	return "unknown"
}
