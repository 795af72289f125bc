package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight = 8 // tlog-tiles: 256 hashes, or entries, a tile

// checkDirectory verifies a log as tlog-tiles lays it out: the note's signature, the root over all entries, every tile, and that no other
// file lies there. Returns the number of records.
func checkDirectory(dir string) (int64, error) {
	verifier, err := readVerifier(filepath.Join(dir, "vkey"))
	if err != nil {
		return 0, err
	}
	signed, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return 0, err
	}
	tree, err := openCheckpoint(signed, verifier)
	if err != nil {
		return 0, err
	}
	expected := map[string]bool{"vkey": true, "checkpoint": true}
	hashes, err := readEntries(dir, tree.N, expected)
	if err != nil {
		return 0, err
	}
	root, err := tlog.TreeHash(tree.N, hashes)
	if err != nil {
		return 0, err
	}
	if root != tree.Hash {
		return 0, fmt.Errorf("the entries' root is %v, the checkpoint's %v", root, tree.Hash)
	}
	if err := checkTiles(dir, tree.N, hashes, expected); err != nil {
		return 0, err
	}
	return tree.N, nothingElse(dir, expected)
}

// readVerifier reads one vkey line. Its text must be the only way to write that key: no bit of the file may be free.
func readVerifier(path string) (note.Verifier, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	line, ended := strings.CutSuffix(string(raw), "\n")
	if !ended {
		return nil, errors.New("vkey: the line does not end")
	}
	fields := strings.SplitN(line, "+", 3) // name, key hash, and base64, which may hold a + itself
	if len(fields) != 3 {
		return nil, errors.New("vkey: not name+hash+key")
	}
	if err := strictBase64(fields[2]); err != nil {
		return nil, fmt.Errorf("vkey: %w", err)
	}
	return note.NewVerifier(line)
}

func strictBase64(text string) error {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err == nil && base64.StdEncoding.EncodeToString(raw) != text {
		err = errors.New("base64 that is not canonical")
	}
	return err
}

// openCheckpoint checks the signed note and reads its three lines: origin, size, root.
func openCheckpoint(signed []byte, verifier note.Verifier) (tlog.Tree, error) {
	none := tlog.Tree{}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return none, fmt.Errorf("checkpoint: %w", err)
	}
	for _, s := range append(opened.Sigs, opened.UnverifiedSigs...) {
		if err := strictBase64(s.Base64); err != nil {
			return none, fmt.Errorf("checkpoint: %w", err)
		}
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return none, fmt.Errorf("checkpoint: %d lines instead of 3", len(lines)-1)
	}
	if lines[0] != verifier.Name() {
		return none, fmt.Errorf("checkpoint: origin %q, key name %q", lines[0], verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return none, fmt.Errorf("checkpoint: %q is not a size", lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil || strictBase64(lines[2]) != nil {
		return none, fmt.Errorf("checkpoint: %q is not a root hash", lines[2])
	}
	return tlog.Tree{N: size, Hash: root}, nil
}

// stored holds the hashes of a whole tree in the order of tlog.StoredHashIndex.
type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= int64(len(s)) {
			return nil, fmt.Errorf("hash %d of a tree of %d hashes", index, len(s))
		}
		out[i] = s[index]
	}
	return out, nil
}

// readEntries reads n records from the entry bundles, checks that each says its own place, and hashes them.
func readEntries(dir string, n int64, expected map[string]bool) (stored, error) {
	var hashes stored
	for at := int64(0); at < n; {
		width := min(n-at, 1<<tileHeight)
		path := tilePath("entries", at>>tileHeight, int(width))
		expected[path] = true
		bundle, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			return nil, err
		}
		for i := int64(0); i < width; i, at = i+1, at+1 {
			var record []byte
			if record, bundle, err = nextEntry(bundle); err != nil {
				return nil, fmt.Errorf("%s, record %d: %w", path, at, err)
			}
			if err := saysItsPlace(record, at); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			more, err := tlog.StoredHashes(at, record, hashes)
			if err != nil {
				return nil, err
			}
			hashes = append(hashes, more...)
		}
		if len(bundle) != 0 {
			return nil, fmt.Errorf("%s: %d bytes after its last record", path, len(bundle))
		}
	}
	return hashes, nil
}

func nextEntry(bundle []byte) (record, rest []byte, err error) {
	if len(bundle) < 2 {
		return nil, nil, errors.New("cut")
	}
	size := int(binary.BigEndian.Uint16(bundle))
	if len(bundle) < 2+size {
		return nil, nil, errors.New("cut")
	}
	return bundle[2 : 2+size], bundle[2+size:], nil
}

func saysItsPlace(record []byte, at int64) error {
	var fields struct {
		Seq *int64 `json:"seq"`
	}
	if err := json.Unmarshal(record, &fields); err != nil {
		return fmt.Errorf("record %d: %w", at, err)
	}
	if fields.Seq == nil || *fields.Seq != at {
		return fmt.Errorf("record %d does not say seq %d", at, at)
	}
	return nil
}

// checkTiles compares every hash tile of a tree of n records with the hashes computed from the entries.
func checkTiles(dir string, n int64, hashes stored, expected map[string]bool) error {
	for _, tile := range tlog.NewTiles(tileHeight, 0, n) {
		path := tilePath(strconv.Itoa(tile.L), tile.N, tile.W)
		expected[path] = true
		want, err := tlog.ReadTileData(tile, hashes)
		if err != nil {
			return err
		}
		got, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("%s is not what the entries give", path)
		}
	}
	return nil
}

// tilePath is the path that tlog-tiles gives a tile: three digits a folder, all but the last with x before them, .p/W when partial.
func tilePath(level string, n int64, width int) string {
	number := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		number = fmt.Sprintf("x%03d/%s", n%1000, number)
	}
	path := "tile/" + level + "/" + number
	if width < 1<<tileHeight {
		path += ".p/" + strconv.Itoa(width)
	}
	return path
}

func nothingElse(dir string, expected map[string]bool) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err == nil && !expected[name] {
			err = fmt.Errorf("%s does not belong there", name)
		}
		return err
	})
}
