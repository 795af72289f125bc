// Command tlogcheck is the second verifier of the audit log, independent of the C one: other language, other authors' Merkle trees and
// signed notes (golang.org/x/mod/sumdb). The tests hold the two against each other.
//
//	tlogcheck DIR…                        one line a folder: "ok N DIR", or "bad DIR: why"; exit 1 if any is bad
//	tlogcheck -batch                      the same for each line of standard input, answered at once
//	tlogcheck -proof PROOF RECORD VKEY    is RECORD (a file: the exact bytes) in the log that PROOF (C2SP tlog-proof) speaks of?
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
)

// verdict is the line for one folder, and whether the log there is whole.
func verdict(dir string) (string, bool) {
	n, err := checkDirectory(dir)
	if err != nil {
		return fmt.Sprintf("bad %s: %v", dir, err), false
	}
	return fmt.Sprintf("ok %d %s", n, dir), true
}

func batch() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		text, _ := verdict(lines.Text())
		fmt.Println(text)
	}
}

func main() {
	fromInput := flag.Bool("batch", false, "read folders from standard input")
	proof := flag.Bool("proof", false, "check a proof: PROOF RECORD VKEY")
	flag.Parse()
	switch {
	case *fromInput:
		batch()
	case *proof && flag.NArg() == 3:
		index, err := checkProofFiles(flag.Arg(0), flag.Arg(1), flag.Arg(2))
		if err != nil {
			fmt.Println("bad:", err)
			os.Exit(1)
		}
		fmt.Println("ok", index)
	case !*proof && flag.NArg() > 0:
		whole := true
		for _, dir := range flag.Args() {
			text, ok := verdict(dir)
			fmt.Println(text)
			whole = whole && ok
		}
		if !whole {
			os.Exit(1)
		}
	default:
		fmt.Fprintln(os.Stderr, "usage: tlogcheck DIR… | tlogcheck -batch | tlogcheck -proof PROOF RECORD VKEY")
		os.Exit(2)
	}
}
