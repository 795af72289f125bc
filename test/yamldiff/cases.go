package main

// Inputs with a reason. What the package makes of each is in golden.jsonl.
var cases = []string{
	// booleans and null of YAML 1.1
	"a: yes\nb: No\nc: ON\nd: off\ne: y\nf: N\ng: True\nh: FALSE\ni: yEs\nj: 'yes'\nk: \"no\"\n",
	"a: ~\nb: null\nc: Null\nd: NULL\ne:\nf: nUll\ng: ''\n",
	"y: 1\nn: 2\nyes: 3\n",
	"- ~\n- \n- a\n",
	// integers
	"a: 0\nb: -0\nc: +7\nd: 007\ne: 08\nf: 0o17\ng: 0x1F\nh: 0b101\ni: -0x10\nj: -0b11\nk: 1_000\nl: 1__0\nm: 0_\nn: 0x\n",
	"a: 9223372036854775807\nb: 9223372036854775808\nc: -9223372036854775808\nd: -9223372036854775809\ne: 18446744073709551615\nf: 18446744073709551616\n",
	"a: 0xFFFFFFFFFFFFFFFF\nb: 0x1_0\nc: +0x10\nd: +9223372036854775808\ne: 0O17\nf: 0X1f\ng: 0B11\nh: 0b2\ni: 0o8\nj: -017\n",
	"a: 190:20:30\nb: 1:2\nc: 12e\nd: 12e3\ne: 1e3\nf: 1E+3\ng: 1e-7\nh: 0x1p4\n",
	// floats
	"a: 1.0\nb: 1.5\nc: .5\nd: 5.\ne: -.5\nf: +.5\ng: .5e3\nh: .\ni: ..\nj: .e3\nk: 1.e3\nl: 1.5_0\nm: ._5\nn: .5_0\no: .5_\n",
	"a: 1e21\nb: 1e20\nc: 123456789012345678901234567890\nd: 0.000001\ne: 0.0000001\nf: 1e400\ng: -1e400\nh: 1e-400\ni: 0.1\nj: 3.141592653589793238\n",
	"a: -0.0\nb: 100000000000000000000.5\nc: 5e-324\nd: 1.7976931348623157e308\ne: 2.5e-8\n",
	"a: .inf\n", "a: -.Inf\n", "a: .NaN\n", "a: +.INF\n", "a: .iNf\n", "a: infinity\nb: nan\nc: Inf\n",
	"a: .0x10\n", "a: .1e\n", "a: .1e+\n", "a: .1.2\n", "a: .inf1\n", "a: 1.2.3\n", "a: 1.2e3e4\n",
	// what looks like a time
	"a: 2001-12-14\nb: 2001-12-14T21:59:43.10Z\nc: 2001-12-14 21:59:43.10\nd: 2001-1-1\ne: 12:30\n",
	// keys
	"1: a\n-5: b\n0x10: c\n1.5: d\ntrue: e\n'2': f\n1e6: g\n123456789.5: h\n1e-5: i\n0.0001: j\n100000.0: k\n1e100: l\n",
	"~: a\n", "null: a\n", ": a\n", "18446744073709551615: a\n", "[a]: b\n", "{a: b}: c\n", "? [a, b]\n: c\n",
	"1: a\n'1': b\n", "yes: a\ntrue: b\n", "a: 1\na: 2\n", "a:\n  b: 1\n  c: 2\n  b: 3\n",
	"? a\n: b\n? c\n", "a: b\n? |\n  block key\n: d\n", ".inf: a\n", ".nan: a\n",
	"1e39: a\n", "16777217.0: a\n", "0.1: a\n", "-0.0: a\n", "1e21: b\n",
	// anchors, aliases, merges
	"a: &x {b: 1}\nc: *x\n", "a: &x 5\nb: *x\n", "a: *x\n", "a: &x [*x]\n", "&k a: 1\nb: *k\n", "a: &x foo\n*x : bar\n",
	"a: &x 1\nb: &x 2\nc: *x\n", "- &a 5\n- *a\n- &a six\n- *a\n",
	"base: &b {x: 1, y1: 2}\no:\n  <<: *b\n  x: 9\n", "base: &b {x: 1}\no:\n  x: 9\n  <<: *b\n",
	"a: &a {x: 1, p: 1}\nb: &b {x: 2, q: 2}\no:\n  <<: [*a, *b]\n  z: 3\n", "a: &a [1]\no:\n  <<: *a\n", "o:\n  <<: 5\n",
	"o:\n  <<: {x: 1}\n  <<: {y: 2}\n", "o:\n  '<<': {x: 1}\n", "o:\n  !!merge <<: {x: 1}\n", "o: <<\n", "o:\n  <<: [5]\n",
	"a: &a [{x: 1}]\no:\n  <<: *a\n", "o:\n  <<: {x: 1}\n  x: 2\n  <<: {x: 3}\n", "o:\n  <<: []\n",
	"a: &a {<<: {k: 1}, k: 2}\nb:\n  k: 0\n  <<: *a\n", "o: {<<: {x: 1, x: 2}}\n",
	// tags
	"a: !!str 5\nb: !!int '7'\nc: !!float 3\nd: !!bool 'yes'\ne: !!null ''\nf: !!str\n", "a: !!int x\n", "a: !!bool 1\n",
	"a: !!float 18446744073709551615\n", "a: !!int 1.5\n", "a: !!null x\n", "a: !!int\n", "a: ! 5\n", "a: !foo 5\n",
	"a: !!binary aGVsbG8=\n", "a: !!binary '?'\n", "a: !!map {b: c}\nd: !!seq [e]\n", "a: !!set {b, c}\n", "!foo\na: b\n",
	"a: !<tag:yaml.org,2002:str> 5\n", "a: !!float 0x10\n", "!!str 5: a\n", "!!int '5': a\n",
	// strings of every form
	"a: 'it''s'\nb: \"tab\\tnew\\nuni\\u00e9\\x41\\U0001F600\"\nc: plain text # comment\nd: a#b\ne: a:b\n",
	"a: |\n  one\n   two\n\n  three\n\n\nb: |-\n  x\n\nc: |+\n  y\n\nd: >\n  fold\n  ed\n\n  para\n   more\n  end\ne: |2\n    in\n",
	"a: \"multi\n  line\n\n  text\"\nb: multi\n  line\n\n  plain\n", "a: \"esc \\\n   aped\"\n", "a: \"bad \\q\"\n", "a: \"\\/\"\n",
	"a: |1\n x\n", "a: >-\n\n  x\n", "a: \u00e9\u4e16\nb: \U0001F600\n", "a: \"\\ud83d\\ude00\"\n",
	"a: \u2028x\n", "a: \u0085x\n", "a: 'x\u00a0y'\n",
	// flow
	"{a: 1, b: [2, 3], c: {d: e}}", "[a, b: c, {d}]\n", "{a, b: }\n", "[a,,b]\n", "{a: b,}\n", "[a, b,]\n", "{\"a\":1}\n", "{a:1}\n",
	"{\"a\": \"\\ud83d\\ude00\"}", "{\"a\": 1}{\"b\": 2}\n", "{\"a\": 1}\n{\"b\": 2}\n\n", "{\"a\": 1}\n---\n{\"b\": 2}\n", "{\"a\": 1.0, \"b\": 1e3}",
	"{\"a\": 1, \"a\": 2}", "{\"a\":\n1}\n---\n{\"b\"\n:2}\n---\n", "{\"a\": 1}\n---\nb: 2\n", "{\"a\": 1}\n--- x\n", "{\"a\": \"\\ud83d\"}",
	"{\"a\": 1.50, \"b\": 1E+2, \"c\": -0, \"d\": 123456789012345678901234567890}", "a: [1, 2\n  , 3]\n", "a: {b: c\n  ,d: e}\n", "a: [\n1,\n2\n]\n", "  {\"a\": 1}", "\n\n{\"a\": [\n1,\n{}]}",
	"a: http://x.example/y?z\nb: [http://x.example]\nc: {u: http://x.example}\n", "a: -x\nb: ?x\nc: - \n", "a: [?x]\n", "a: @x\n", "a: `x`\n", "a: %x\n",
	// documents
	"a: 1\n---\nb: 2\n", "---\na: 1\n---\n---\n# only a comment\n---\nb: 2\n...\n", "--- \na: 1\n--- # note\nb: 2\n", "", "\n", "# c\n", "---\n", "---\n---\n", "null\n", "~\n",
	"a: |\n  text\n  --- not a marker\n---\nb: 1\n", "%YAML 1.1\n---\na: 1\n", "\ufeffa: 1\n", "\ufeff{\"a\": 1}", "a: 1\n...\n", "a: 1\r\nb: 2\r\n", "a: |\r\n  x\r\n  y\r\n",
	"- a\n- b\n", "just text\n", "5\n", "a: 1\n--- \n\n---\nb: 2",
	// broken
	"a: b: c\n", "a:\n\tb: c\n", "a: [1\n", "a: 'x\n", "a: \"x\n", "- a\nb: c\n", "a: 1\n b: 2\n", "a: &\n", "a: *\n", "a: x\n  b: y\n", "key\n", "a: 1\nkey\n", "{a: 1\n", "a: }\n", "a: \x01\n", "a: !<\n", ": :\n", "a: |x\n  y\n", "[a\n]: b\n", "%FOO bar\n---\na: 1\n", "%YAML 2.0\n---\na: 1\n", "a: - b\n", "a: 'x' y\n", "a: \"x\"y\n",
	"a: 1 # x\nb: 2#y\nc: #z\n", "a:\n- b\n- c\nd: e\n", "a:\n  - b\n  -\n    c: d\n  - - e\n    - f\n", "a : b\n", "\"a\" : b\n", "'a': b\n", "a:   \n  b:   \n    c\n", "a: b\n\n\n\n", "   a: b\n   c: d\n", "a: ''\nb: \"\"\n", "a: >\n", "a: |\nb: c\n",
	"spec:\n  template:\n    spec:\n      containers:\n      - name: web\n        image: registry.example/shop/web:1.0\n        ports:\n        - containerPort: 0x1F90\n        resources: {limits: {cpu: 0.5, memory: 1e3}}\n",
}
