// Semverdiff writes what Masterminds/semver/v3 makes of every constraint and version below, for the unit test to replay:
//
//	go run . > golden.jsonl
//
// A line is {"constraint", "valid", "matches": one character a version, in the order of the first line's list}.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/Masterminds/semver/v3"
)

var versions = []string{
	"0.0.0", "0.0.1", "0.0.2", "0.1.0", "0.1.5", "0.2.0", "1", "v1.0", "1.0.0", "1.0.1", "1.1.0", "v1.2.0", "1.2.3", "1.2.4", "1.3.0",
	"1.9.9", "2.0.0", "2.0.1", "2.5.0", "3.0.0", "11.0.0", "1.2.3-alpha", "1.2.3-alpha.1", "1.2.3-beta.2", "1.2.3-beta.11", "1.2.3-rc.1",
	"1.2.4-alpha", "2.0.0-rc.1", "1.2.3+build", "01.2.3", "1.2.3-01", "1.2.3-", "1.2.3.4", "latest", "", "v", "vv1.2.3", "1.2.x", "V1.2.3",
	"18446744073709551615.0.0", "18446744073709551616.0.0", "1.2.3-a..b", "1.2.3+", " 1.2.3", "1.2.3-0.1", "1.2.3--1", "1..2",
}

var constraints = []string{
	"1.x", "1.X", "1.*", "1", "v1", "1.2", "1.2.x", "1.2.*", "1.2.3", "v1.2.3", "=1.2.3", "= 1.2.3", "=1", "=1.2", "*", "x", "X", "", " ",
	">1", ">1.2", ">1.2.3", ">=1", ">=1.2", ">=1.2.3", "=>1.2", "<1", "<1.2", "<1.2.3", "<=1", "<=1.2", "<=1.2.3", "=<1.2.3", "!=1", "!=1.2",
	"!=1.2.3", "!=1.x", "~1", "~1.2", "~1.2.3", "~>1.2", "~0", "~0.0", "~0.0.0", "~0.1", "~x", "~*", "~1.x", "^1", "^1.2", "^1.2.3", "^0",
	"^0.0", "^0.0.1", "^0.1", "^0.1.0", "^x", "^0.x", "^1.x", ">=1.2 <2", ">=1.2, <2", ">=1.2,<2", ">=1.2<2", ">= 1.2 < 2", ">=1.2 , <2",
	"1.2 - 2.0", "1.2.0 - 1.3", "1 - 2", "1.2 -2", "1.2- 2", "1.2-2", "1.x || >=2.5", "1.x||2.x", "1.x |2.x", "|| 1", "1 ||", "1.x || ",
	">=1.2.3-alpha", ">1.2.3-beta.2", ">=1.2.3-0", "~1.2.3-beta", "^1.2.3-beta.2", "1.2.3-alpha", "<1.2.3-rc.1", ">=1.0.0-0 <2.0.0-0",
	"!=1.2.3-alpha", "!=1.2-alpha", ">=1.x-0", "*-0", "1.2.3+build", ">1.2.3+x", "latest", "main", "1.a", "1.2.3.4", "release-1.2", "1.2.3-01",
	">", "=", "~", ">>1", "==1", "=!1", "><1", "1,", ",1", "1,,2", "1, ,2", ">=1.2  <2 !=1.3.0", "1x", "1|2", "x.1", "1.x.3", "*.2", "^v1.2",
	">= v1.2", "v", "18446744073709551616", "1.2 - 1.3 || 2.x", "1.2 - 1.3 !=1.3.0", "~ 1.2", "^ 1", ">\t1", "1.2 - >2",
	">1 - 2", "1 - 2 - 3", "feature/x", "HEAD", "x1", "0x1", "deadbeef", "1e3", "-1", "1-", "1.", "1.2.", ".1",
}

func main() {
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	encoder.Encode(map[string]any{"versions": versions})
	for _, text := range constraints {
		row := map[string]any{"constraint": text, "valid": false, "matches": ""}
		if constraint, err := semver.NewConstraint(text); err == nil {
			matches := ""
			for _, v := range versions {
				version, err := semver.NewVersion(v)
				switch {
				case err != nil:
					matches += "-"
				case constraint.Check(version):
					matches += "1"
				default:
					matches += "0"
				}
			}
			row["valid"], row["matches"] = true, matches
		}
		if err := encoder.Encode(row); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
