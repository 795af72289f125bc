package main

import (
	"math/rand/v2"
	"strings"
)

var atoms = []string{
	"yes", "no", "on", "off", "y", "n", "true", "~", "null", "", "a", "b", "web", "x y", "it's", "a: b", "a#b", "a #b", "-", "- x",
	"0", "1", "-1", "+1", "007", "0x1f", "0o7", "0b1", "1_0", "1.5", ".5", "1.", "1e3", "1e400", ".inf", "-.inf", ".nan", "12:30",
	"2001-01-01", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "18446744073709551615", "99999999999999999999",
	"'q'", "\"d\"", "\"\\n\"", "\"\\u00e9\"", "'yes'", "!!str 5", "!!int '5'", "!!float 5", "!!bool yes", "|\n      lit", "<<", "=", "\u00e9", "&", "*", "%", "@",
	"[1, a]", "{k: v}", "[]", "{}", "http://h.example/p", "registry.example/a/b:1.0@sha256:00",
}

const numeric = "0123456789+-._eExXobB:fFaA "

// scalar is an atom, or an atom with a change, or a run of characters that numbers are made of.
func scalar(r *rand.Rand) string {
	switch r.IntN(4) {
	case 0:
		var s strings.Builder
		for range 1 + r.IntN(8) {
			s.WriteByte(numeric[r.IntN(len(numeric))])
		}
		return s.String()
	case 1:
		a := atoms[r.IntN(len(atoms))]
		if a == "" {
			return a
		}
		at := r.IntN(len(a))
		return a[:at] + string(numeric[r.IntN(len(numeric))]) + a[at:]
	default:
		return atoms[r.IntN(len(atoms))]
	}
}

func node(r *rand.Rand, depth int, indent string, s *strings.Builder) {
	kind := r.IntN(6)
	if depth > 3 {
		kind = 5
	}
	switch kind {
	case 0, 1:
		s.WriteString("\n")
		for range 1 + r.IntN(4) {
			key := scalar(r)
			if r.IntN(12) == 0 {
				key = "<<"
			}
			s.WriteString(indent + key + ": ")
			if r.IntN(10) == 0 {
				s.WriteString("&" + string('a'+rune(r.IntN(3))) + " ")
			}
			node(r, depth+1, indent+"  ", s)
		}
	case 2:
		s.WriteString("\n")
		for range 1 + r.IntN(3) {
			s.WriteString(indent + "- ")
			node(r, depth+1, indent+"  ", s)
		}
	case 3:
		if r.IntN(3) == 0 {
			s.WriteString("*" + string('a'+rune(r.IntN(3))) + "\n")
			return
		}
		flow(r, depth, s)
		s.WriteString("\n")
	default:
		s.WriteString(scalar(r) + "\n")
	}
}

func flow(r *rand.Rand, depth int, s *strings.Builder) {
	if depth > 4 || r.IntN(3) == 0 {
		s.WriteString(scalar(r))
		return
	}
	mapping := r.IntN(2) == 0
	s.WriteString(map[bool]string{true: "{", false: "["}[mapping])
	for i := range r.IntN(4) {
		if i > 0 {
			s.WriteString(", ")
		}
		if mapping {
			s.WriteString(scalar(r) + ": ")
		}
		flow(r, depth+1, s)
	}
	s.WriteString(map[bool]string{true: "}", false: "]"}[mapping])
}

var jsonAtoms = []string{
	"0", "-0", "1", "-1", "01", "1.0", "1.50", "-1.5e3", "1E+2", "1e-7", "1e400", ".5", "5.", "+1", "9223372036854775807",
	"-9223372036854775808", "9223372036854775808", "18446744073709551615", "18446744073709551616", "123456789012345678901234567890", "0x1",
	"true", "false", "null", "True", "nul", `""`, `"a"`, `"\n\t\"\\\/\b\f\r"`, `"\u00e9"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ude00x"`, `"\u0041"`, `"\x"`,
	"\"\t\"", "\"\u00e9\"", "\"\u2028\"", "\"\x7f\"", `"a`, "'a'", "a", "[]", "{}", "[1,]", "[,1]", `{"a"}`, `{"a":}`, `{a:1}`, "[1 2]", "{,}", "NaN",
}

// jsonValue makes JSON that is often, not always, right.
func jsonValue(r *rand.Rand, depth int, s *strings.Builder) {
	if depth > 3 || depth > 0 && r.IntN(3) == 0 {
		atom := r.IntN(len(jsonAtoms))
		if r.IntN(3) > 0 {
			atom = r.IntN(10)
		}
		s.WriteString(jsonAtoms[atom])
		return
	}
	space := func() { s.WriteString([]string{"", " ", "\n", "\t"}[r.IntN(4)]) }
	mapping := r.IntN(3) > 0 || depth == 0
	s.WriteString(map[bool]string{true: "{", false: "["}[mapping])
	for i := range r.IntN(4) {
		if i > 0 {
			s.WriteString(",")
		}
		space()
		if mapping {
			s.WriteString([]string{`"a"`, `"b"`, `"c"`, `"\u0061"`, `"d e"`, `""`, `"1"`}[r.IntN(7)])
			space()
			s.WriteString(":")
			space()
		}
		jsonValue(r, depth+1, s)
		space()
	}
	s.WriteString(map[bool]string{true: "}", false: "]"}[mapping])
}

// generate makes a document that is often, not always, well-formed: YAML, every fourth time JSON.
func generate(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	if r.IntN(4) == 0 {
		var s strings.Builder
		// One only: behind a second that is not quite JSON kubectl goes on in YAML, and we begin anew.
		jsonValue(r, 0, &s)
		return []byte(s.String() + []string{"", "\n"}[r.IntN(2)])
	}
	var s strings.Builder
	for i := range 1 + r.IntN(2) {
		if i > 0 {
			s.WriteString("---\n")
		}
		for range 1 + r.IntN(4) {
			s.WriteString(scalar(r) + ": ")
			node(r, 1, "  ", &s)
		}
	}
	return []byte(s.String())
}
