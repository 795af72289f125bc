package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const origin = "countersign.test/log"

func record(i int64) []byte { return []byte(fmt.Sprintf(`{"kind":"sync.result","seq":%d,"v":1}`, i)) }

func put(t *testing.T, dir, path string, data []byte) {
	t.Helper()
	full := filepath.Join(dir, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// writeLog lays out a log of n records, made with the library alone, and returns its folder and hashes.
func writeLog(t *testing.T, n int64) (string, stored, string) {
	t.Helper()
	dir := t.TempDir()
	secret, public, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		t.Fatal(err)
	}
	var hashes stored
	var bundle []byte
	for i := int64(0); i < n; i++ {
		bundle = append(binary.BigEndian.AppendUint16(bundle, uint16(len(record(i)))), record(i)...)
		if (i+1)%256 == 0 || i+1 == n {
			put(t, dir, tilePath("entries", i>>8, int(i%256)+1), bundle)
			bundle = nil
		}
		more, _ := tlog.StoredHashes(i, record(i), hashes)
		hashes = append(hashes, more...)
	}
	for _, tile := range tlog.NewTiles(8, 0, n) {
		data, _ := tlog.ReadTileData(tile, hashes)
		put(t, dir, tilePath(fmt.Sprint(tile.L), tile.N, tile.W), data)
	}
	root, err := tlog.TreeHash(n, hashes)
	if err != nil {
		t.Fatal(err)
	}
	signer, _ := note.NewSigner(secret)
	signed, _ := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", origin, n, root)}, signer)
	put(t, dir, "checkpoint", signed)
	put(t, dir, "vkey", []byte(public+"\n"))
	return dir, hashes, string(signed)
}

func TestWholeLogsAreAcceptedAtEverySizeAroundTiles(t *testing.T) {
	for _, n := range []int64{1, 2, 3, 255, 256, 257, 511, 512, 513, 70000} {
		dir, _, _ := writeLog(t, n)
		if got, err := checkDirectory(dir); err != nil || got != n {
			t.Errorf("log of %d records: got %d, %v", n, got, err)
		}
	}
}

// next returns another byte of the same class, so that a change is as hard to see as it can be: the last letter before a "=" differs in
// bits that a lenient decoder drops.
func next(b byte) byte {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	if i := strings.IndexByte(letters, b); i >= 0 {
		return letters[i^1]
	}
	return b ^ 1
}

func TestEveryFlippedByteIsFound(t *testing.T) {
	dir, _, _ := writeLog(t, 3)
	flips := 0
	filepath.Walk(dir, func(path string, info os.FileInfo, _ error) error {
		if info.IsDir() {
			return nil
		}
		whole, _ := os.ReadFile(path)
		for i := range whole {
			bad := append([]byte(nil), whole...)
			bad[i] = next(bad[i])
			os.WriteFile(path, bad, 0o644)
			if _, err := checkDirectory(dir); err == nil {
				t.Errorf("%s: byte %d changed from %q to %q unnoticed", path, i, whole[i], bad[i])
			}
			flips++
		}
		return os.WriteFile(path, whole, 0o644)
	})
	if _, err := checkDirectory(dir); err != nil || flips < 400 {
		t.Errorf("after %d flips, each undone: %v", flips, err)
	}
}

func TestWhatDoesNotBelongThereIsFound(t *testing.T) {
	for _, path := range []string{"tile/entries/000.p/2", "tile/0/001", "note", "tile/x"} {
		dir, _, _ := writeLog(t, 3)
		put(t, dir, path, []byte("x"))
		if _, err := checkDirectory(dir); err == nil || !strings.Contains(err.Error(), "does not belong") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestMissingTileIsFound(t *testing.T) {
	dir, _, _ := writeLog(t, 300)
	os.Remove(filepath.Join(dir, "tile/1/000.p/1"))
	if _, err := checkDirectory(dir); err == nil {
		t.Error("nobody missed tile/1/000.p/1")
	}
}

func TestRecordThatSaysAnotherPlaceIsFound(t *testing.T) {
	if err := saysItsPlace(record(4), 5); err == nil {
		t.Error("seq 4 was taken for 5")
	}
	if err := saysItsPlace([]byte(`{"kind":"drift"}`), 0); err == nil {
		t.Error("a record without seq was taken for 0")
	}
}

func TestPathsAreThoseOfTlogTiles(t *testing.T) {
	for want, got := range map[string]string{
		"tile/0/000":                 tilePath("0", 0, 256),
		"tile/entries/x001/234.p/7":  tilePath("entries", 1234, 7),
		"tile/2/x001/x234/067":       tilePath("2", 1234067, 256),
		"tile/entries/x123/x456/000": tilePath("entries", 123456000, 256),
		"tile/0/x001/000.p/255":      tilePath("0", 1000, 255),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestProofHoldsForItsRecordOnly(t *testing.T) {
	dir, hashes, checkpoint := writeLog(t, 300)
	verifier, err := readVerifier(filepath.Join(dir, "vkey"))
	if err != nil {
		t.Fatal(err)
	}
	proof, err := tlog.ProveRecord(300, 257, hashes)
	if err != nil {
		t.Fatal(err)
	}
	text := "c2sp.org/tlog-proof@v1\nindex 257\n"
	for _, hash := range proof {
		text += base64.StdEncoding.EncodeToString(hash[:]) + "\n"
	}
	text += "\n" + checkpoint
	if index, err := checkProof(text, record(257), verifier); err != nil || index != 257 {
		t.Errorf("got %d, %v", index, err)
	}
	for name, bad := range map[string]string{
		"another index": strings.Replace(text, "index 257", "index 256", 1),
		"no index":      strings.Replace(text, "index 257\n", "", 1),
		"another kind":  strings.Replace(text, "@v1", "@v2", 1),
		"one hash less": strings.Replace(text, proof[0].String()+"\n", "", 1),
	} {
		if _, err := checkProof(bad, record(257), verifier); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := checkProof(text, record(256), verifier); err == nil {
		t.Error("another record: accepted")
	}
}
