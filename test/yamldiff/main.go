// Yamldiff holds base/yaml.h against the code kubectl reads manifests with.
//
//	yamldiff golden                writes what that code makes of every case, one JSON object a line
//	yamldiff live TOOL SEED COUNT  makes COUNT random documents and compares both on each
//
// TOOL is test/yamldiff/dump/dump.c, built by ./run.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"strings"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
)

type result struct {
	In   []byte            `json:"in"` // base64: not every case is text
	Docs []json.RawMessage `json:"docs"`
	Err  string            `json:"err,omitempty"`
}

// reference reads a stream as kubectl's resource builder does; empty and null documents are left out.
func reference(in []byte) result {
	r := result{In: in, Docs: []json.RawMessage{}}
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(in), 4096)
	for {
		var raw json.RawMessage
		err := decoder.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return r
		}
		if err != nil {
			return result{In: in, Err: err.Error()}
		}
		raw = bytes.TrimSpace(raw)
		if len(raw) != 0 && !bytes.Equal(raw, []byte("null")) {
			r.Docs = append(r.Docs, canonical(raw))
		}
	}
}

// canonical sorts keys and drops white space, keeping every number's own text.
func canonical(raw []byte) json.RawMessage {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return raw
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return raw
	}
	return bytes.TrimSpace(out.Bytes())
}

// sameNumbers writes numbers that are no integers in one form: in a JSON file they keep their own text, 1.50 or 1E+2.
func sameNumbers(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key := range v {
			v[key] = sameNumbers(v[key])
		}
	case []any:
		for i := range v {
			v[i] = sameNumbers(v[i])
		}
	case json.Number:
		if f, err := v.Float64(); err == nil && strings.ContainsAny(string(v), ".eE") {
			return json.Number(strconv.FormatFloat(f, 'f', -1, 64))
		}
	}
	return value
}

func equal(a, b []byte) bool {
	var values [2]any
	for i, raw := range [][]byte{a, b} {
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.UseNumber()
		if decoder.Decode(&values[i]) != nil {
			return false
		}
		values[i] = sameNumbers(values[i])
	}
	return reflect.DeepEqual(values[0], values[1])
}

func golden() error {
	out := bufio.NewWriter(os.Stdout)
	for _, in := range cases {
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(reference([]byte(in))); err != nil {
			return err
		}
	}
	return out.Flush()
}

// tool answers each length-prefixed input by one line: "ok [docs]" or "err REASON text".
type tool struct {
	in  io.Writer
	out *bufio.Reader
}

func (t *tool) ask(in []byte) (string, error) {
	frame := binary.LittleEndian.AppendUint32(nil, uint32(len(in)))
	if _, err := t.in.Write(append(frame, in...)); err != nil {
		return "", err
	}
	line, err := t.out.ReadString('\n')
	return strings.TrimSuffix(line, "\n"), err
}

// Where we refuse on purpose what the package takes.
var stricter = []string{"DuplicateKey", "UnknownTag", "AliasBomb", "TooDeep", "TooLarge", "BadKey",
	"BadNumber", // of a value that a second one with its key would hide
}

var stricterText = []string{
	"did not find expected <document start>", // the package drops what follows the first document without a word
	"found unexpected ':'",                   // libyaml refuses "[a:]", where readers disagree
	"NUL character", "not UTF-8",
}

// Where we take on purpose what the package refuses.
func laxer(in []byte, problem string) bool {
	return strings.Contains(problem, "unknown escape character") && bytes.Contains(in, []byte(`\/`)) || // JSON's escape, legal in YAML 1.2
		bytes.HasPrefix(in, []byte("%YAML")) || // kubectl's splitter cuts a directive off from its document
		strings.HasPrefix(problem, "json: offset") || // not quite JSON, but YAML: kubectl tries that too, at times
		strings.HasPrefix(problem, "invalid character '-' in numeric literal") // "---" behind JSON: likewise
}

func compare(in []byte, answer string) string {
	want := reference(in)
	if reason, failed := strings.CutPrefix(answer, "err "); failed {
		if want.Err != "" {
			return ""
		}
		for _, s := range stricter {
			if strings.HasPrefix(reason, s+" ") {
				return ""
			}
		}
		if bytes.Contains(in, []byte(`\ud`)) { // half a surrogate pair: no text at all, where Go puts U+FFFD
			return ""
		}
		for _, s := range stricterText {
			if strings.Contains(reason, s) {
				return ""
			}
		}
		return fmt.Sprintf("refused, but the package reads %s", want.Docs)
	}
	if want.Err != "" {
		if laxer(in, want.Err) {
			return ""
		}
		return "accepted, but the package says " + want.Err
	}
	got := strings.TrimPrefix(answer, "ok ")
	docs, _ := json.Marshal(want.Docs)
	if !equal(docs, []byte(got)) {
		return fmt.Sprintf("the package reads %s", docs)
	}
	return ""
}

func live(path, seedText, countText string) error {
	seed, err := strconv.ParseUint(seedText, 10, 64)
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(countText)
	if err != nil {
		return err
	}
	command := exec.Command(path)
	in, err := command.StdinPipe()
	if err != nil {
		return err
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		return err
	}
	defer command.Process.Kill()
	t := &tool{in, bufio.NewReader(out)}
	failed := 0
	for i := 0; i < len(cases)+count; i++ {
		var doc []byte
		if i < len(cases) {
			doc = []byte(cases[i])
		} else {
			doc = generate(seed + uint64(i))
		}
		answer, err := t.ask(doc)
		if err != nil {
			return fmt.Errorf("the tool died on %q: %w", doc, err)
		}
		if problem := compare(doc, answer); problem != "" {
			failed++
			fmt.Printf("input %q\n  we answer %s\n  %s\n", doc, answer, problem)
		}
	}
	fmt.Printf("%d compared, %d differ\n", len(cases)+count, failed)
	if failed > 0 {
		os.Exit(1)
	}
	return nil
}

func main() {
	err := errors.New("usage: yamldiff golden | live TOOL SEED COUNT")
	if len(os.Args) == 2 && os.Args[1] == "golden" {
		err = golden()
	}
	if len(os.Args) == 5 && os.Args[1] == "live" {
		err = live(os.Args[2], os.Args[3], os.Args[4])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "yamldiff:", err)
		os.Exit(1)
	}
}
