package main

import "io"

func runAttacks(io.Writer, *place) (int, error) { return 0, nil }
