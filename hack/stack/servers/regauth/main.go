// Command regauth puts doors before a registry, so that one store can be read in every way that registries ask for:
//
//	-front none+http://127.0.0.1:21010      as it is
//	-front bearer+http://127.0.0.1:21011    the Docker token protocol; the token server is /token of the same door
//	-front basic+https://127.0.0.1:21012    HTTP Basic, over TLS
//
// Each request is one line of the access log. While the file -fault exists, its lines STATUS PATTERN say which requests are answered
// with STATUS instead of by the registry (PATTERN is a regular expression over "METHOD PATH"; STATUS "hang" never answers, "cut"
// answers with half of what it promises): what registries do on bad days, on demand.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

type gate struct {
	user   string
	life   time.Duration
	fault  string
	tokens *issuer
	proxy  http.Handler
	mu     sync.Mutex
	access *os.File
}

// A door is one address with one way to authenticate.
type door struct {
	*gate
	scheme string // none, basic or bearer
	self   *url.URL
}

type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (d *door) basic(r *http.Request) bool {
	user, password, ok := r.BasicAuth()
	return ok && user+":"+password == d.user
}

// wants returns the repository of a registry path ("" for none) and what the method does to it.
func wants(r *http.Request) (repository, action string) {
	rest, _ := strings.CutPrefix(r.URL.Path, "/v2/")
	for _, part := range []string{"/manifests/", "/blobs/", "/tags/", "/referrers/"} {
		if i := strings.LastIndex(rest, part); i > 0 && repository == "" {
			repository = rest[:i]
		}
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return repository, "pull"
	}
	return repository, "push"
}

// allowed returns an empty challenge when the request may pass.
func (d *door) allowed(r *http.Request) (challenge string) {
	repository, action := wants(r)
	switch d.scheme {
	case "none":
		return ""
	case "basic":
		if d.basic(r) {
			return ""
		}
		return `Basic realm="registry"`
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if d.tokens.check(token, repository, action) == nil {
		return ""
	}
	challenge = fmt.Sprintf(`Bearer realm="%s/token",service="%s"`, d.self, d.self.Host)
	if repository != "" {
		scope := "pull"
		if action == "push" {
			scope = "pull,push"
		}
		challenge += fmt.Sprintf(`,scope="repository:%s:%s"`, repository, scope)
	}
	return challenge
}

func (d *door) token(w http.ResponseWriter, r *http.Request) {
	if !d.basic(r) {
		d.refuse(w, `Basic realm="token"`)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"token":%q,"expires_in":%d,"issued_at":%q}`, d.tokens.issue(r.URL.Query().Get("service"), r.URL.Query()["scope"], d.life),
		int(d.life.Seconds()), time.Now().UTC().Format(time.RFC3339))
}

func (d *door) refuse(w http.ResponseWriter, challenge string) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	w.Header().Set("WWW-Authenticate", challenge)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnauthorized)
	fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
}

// faulty answers the request itself, if the fault file says so.
func (d *door) faulty(w http.ResponseWriter, r *http.Request) bool {
	rules, err := os.ReadFile(d.fault)
	if err != nil {
		return false
	}
	for _, rule := range strings.Split(strings.TrimSpace(string(rules)), "\n") {
		what, pattern, _ := strings.Cut(strings.TrimSpace(rule), " ")
		if match, err := regexp.MatchString(pattern, r.Method+" "+r.URL.Path); err != nil || !match {
			continue
		}
		switch what {
		case "hang":
			<-r.Context().Done()
		case "cut":
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"schemaVersion":2,`)
		default:
			status, err := strconv.Atoi(what)
			if err != nil || status < 200 || status > 599 {
				log.Fatalf("%s: %q is not a status", d.fault, what)
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprint(w, `{"errors":[{"code":"FAULT","message":"as told by the fault file"}]}`)
		}
		return true
	}
	return false
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := &recorder{ResponseWriter: w, status: http.StatusOK}
	defer func(began time.Time) {
		d.mu.Lock()
		defer d.mu.Unlock()
		fmt.Fprintf(d.access, "%s %s %s %s %d %s\n", began.UTC().Format(time.RFC3339Nano), d.scheme, r.Method, r.URL.RequestURI(), out.status,
			r.Header.Get("User-Agent"))
	}(time.Now())
	if d.faulty(out, r) {
		return
	}
	if d.scheme == "bearer" && r.URL.Path == "/token" {
		d.token(out, r)
		return
	}
	if challenge := d.allowed(r); challenge != "" {
		d.refuse(out, challenge)
		return
	}
	d.proxy.ServeHTTP(out, r)
}

func newProxy(upstream *url.URL) http.Handler {
	return &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(upstream)
		p.Out.Host = p.In.Host
		p.Out.Header.Del("Authorization")
	}}
}

// open starts one door; text is SCHEME+URL.
func (g *gate) open(text, cert, key string) error {
	scheme, address, _ := strings.Cut(text, "+")
	self, err := url.Parse(address)
	if err != nil || self.Host == "" || (scheme != "none" && scheme != "basic" && scheme != "bearer") {
		return fmt.Errorf("-front %s: want none, basic or bearer, +, and http:// or https:// with an address", text)
	}
	listener, err := net.Listen("tcp", self.Host)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: &door{g, scheme, self}, ReadHeaderTimeout: 10 * time.Second}
	if self.Scheme == "https" {
		go func() { log.Fatal(s.ServeTLS(listener, cert, key)) }()
	} else {
		go func() { log.Fatal(s.Serve(listener)) }()
	}
	return nil
}

func main() {
	var fronts []string
	flag.Func("front", "SCHEME+URL of one door (repeatable)", func(s string) error { fronts = append(fronts, s); return nil })
	upstream := flag.String("upstream", "", "URL of the registry behind the doors")
	user := flag.String("user", "bob:secret", "USER:PASSWORD that is let in")
	life := flag.Duration("life", 5*time.Minute, "life of a token")
	cert := flag.String("cert", "", "certificate chain for https (PEM)")
	key := flag.String("key", "", "its private key (PEM)")
	fault := flag.String("fault", "", "file of faults to play")
	access := flag.String("access-log", "/dev/null", "file to which each request is appended")
	flag.Parse()
	behind, err := url.Parse(*upstream)
	if err != nil || behind.Host == "" || len(fronts) == 0 {
		log.Fatal("regauth: want -upstream URL and at least one -front")
	}
	file, err := os.OpenFile(*access, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	g := &gate{user: *user, life: *life, fault: *fault, tokens: newIssuer(), proxy: newProxy(behind), access: file}
	for _, front := range fronts {
		if err := g.open(front, *cert, *key); err != nil {
			log.Fatal(err)
		}
	}
	select {}
}
