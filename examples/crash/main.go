// Command crash is the small program that the demo crashes: a ledger whose
// transfer posts past the end of its accounts. With GOTRACEBACK=crash the Go
// runtime prints all stacks and dies of SIGABRT, as a real service would.
package main

import (
	"flag"
	"fmt"
	"os"
)

type ledger struct {
	accounts []int64
}

func main() {
	from := flag.Int("from", 0, "account that pays")
	to := flag.Int("to", 3, "account that is paid; there are three, counted from 0")
	amount := flag.Int64("amount", 100, "how much")
	flag.Parse()
	l := &ledger{accounts: []int64{1000, 1000, 1000}}
	fmt.Fprintf(os.Stderr, "transferring %d from account %d to account %d\n", *amount, *from, *to)
	transfer(l, *from, *to, *amount)
	fmt.Println(l.accounts)
}

//go:noinline
func transfer(l *ledger, from, to int, amount int64) {
	l.post(from, -amount)
	l.post(to, amount)
}

//go:noinline
func (l *ledger) post(account int, amount int64) {
	l.accounts[account] += amount
}
