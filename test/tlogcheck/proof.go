package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func checkProofFiles(proofPath, recordPath, vkeyPath string) (int64, error) {
	proof, err := os.ReadFile(proofPath)
	if err != nil {
		return 0, err
	}
	record, err := os.ReadFile(recordPath)
	if err != nil {
		return 0, err
	}
	verifier, err := readVerifier(vkeyPath)
	if err != nil {
		return 0, err
	}
	return checkProof(string(proof), record, verifier)
}

// checkProof verifies a C2SP tlog-proof of a record; the head is
//
//	c2sp.org/tlog-proof@v1
//	[extra BASE64]
//	index N
//	BASE64 of one hash, from the leaf up, a line
//
// and after an empty line the checkpoint follows, to the end.
func checkProof(text string, record []byte, verifier note.Verifier) (int64, error) {
	head, checkpoint, found := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	if !found || lines[0] != "c2sp.org/tlog-proof@v1" {
		return 0, errors.New("this is not a tlog-proof, version 1")
	}
	lines = lines[1:]
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		lines = lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return 0, errors.New("the proof has no index")
	}
	index, err := strconv.ParseInt(lines[0][len("index "):], 10, 64)
	if err != nil {
		return 0, err
	}
	var hashes tlog.RecordProof
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return 0, err
		}
		hashes = append(hashes, hash)
	}
	tree, err := openCheckpoint([]byte(checkpoint), verifier)
	if err != nil {
		return 0, err
	}
	if err := tlog.CheckRecord(hashes, tree.N, tree.Hash, index, tlog.RecordHash(record)); err != nil {
		return 0, fmt.Errorf("record %d of %d: %w", index, tree.N, err)
	}
	return index, nil
}
