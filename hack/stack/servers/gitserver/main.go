// Command gitserver serves bare repositories over smart HTTP by git's own http-backend. The first folder of a path says what a client
// must show:
//
//	/open/NAME.git     nothing
//	/basic/NAME.git    the user and password of -user
//	/bearer/NAME.git   the token of -token
//	/mtls/NAME.git     a client certificate of -client-ca (https only)
//
// Pushing is allowed wherever reading is. Each request is one line of the access log, so that a test can tell whether, when and how a
// repository was contacted.
package main

import (
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"log"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path"
	"strings"
	"sync"
	"time"
)

type server struct {
	user, token string
	backend     *cgi.Handler
	mu          sync.Mutex
	access      *os.File
}

type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// allowed says whether the request shows what its folder asks for, and if not, how to ask.
func (s *server) allowed(r *http.Request) (ok bool, challenge string) {
	folder, _, _ := strings.Cut(strings.TrimPrefix(path.Clean(r.URL.Path), "/"), "/")
	switch folder {
	case "open":
		return true, ""
	case "basic":
		user, password, given := r.BasicAuth()
		return given && same(user+":"+password, s.user), `Basic realm="git"`
	case "bearer":
		return same(r.Header.Get("Authorization"), "Bearer "+s.token), `Bearer realm="git"`
	case "mtls":
		return r.TLS != nil && len(r.TLS.VerifiedChains) > 0, ""
	}
	return false, ""
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := &recorder{ResponseWriter: w, status: http.StatusOK}
	began := time.Now()
	ok, challenge := s.allowed(r)
	switch {
	case ok:
		s.backend.ServeHTTP(out, r)
	case challenge != "":
		out.Header().Set("WWW-Authenticate", challenge)
		http.Error(out, "credentials are missing or wrong", http.StatusUnauthorized)
	default:
		http.Error(out, "forbidden", http.StatusForbidden)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.access, "%s %s %s %d %s %dms\n", began.UTC().Format(time.RFC3339Nano), r.Method, r.URL.RequestURI(), out.status,
		r.Header.Get("User-Agent"), time.Since(began).Milliseconds())
}

func backend(root string) (*cgi.Handler, error) {
	execPath, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return nil, fmt.Errorf("git --exec-path: %w", err)
	}
	return &cgi.Handler{
		Path: path.Join(strings.TrimSpace(string(execPath)), "git-http-backend"),
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "HOME=" + root,
			"GIT_CONFIG_COUNT=3", "GIT_CONFIG_KEY_0=http.receivepack", "GIT_CONFIG_VALUE_0=true",
			"GIT_CONFIG_KEY_1=safe.directory", "GIT_CONFIG_VALUE_1=*",
			"GIT_CONFIG_KEY_2=uploadpack.allowAnySHA1InWant", "GIT_CONFIG_VALUE_2=true"},
	}, nil
}

func clientCAs(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate in it", file)
	}
	return pool, nil
}

func main() {
	root := flag.String("root", "", "folder of the bare repositories, with open/, basic/, bearer/, mtls/ below it")
	plain := flag.String("http", "127.0.0.1:21080", "address for http")
	secure := flag.String("https", "", "address for https; none without it")
	cert := flag.String("cert", "", "certificate chain for https (PEM)")
	key := flag.String("key", "", "its private key (PEM)")
	clientCA := flag.String("client-ca", "", "authority of the client certificates that /mtls/ accepts (PEM)")
	user := flag.String("user", "git:git", "USER:PASSWORD of /basic/")
	token := flag.String("token", "token", "token of /bearer/")
	access := flag.String("access-log", "/dev/null", "file to which each request is appended")
	flag.Parse()
	if *root == "" {
		log.Fatal("gitserver: -root is missing: name the folder of the repositories")
	}
	handler, err := backend(*root)
	if err != nil {
		log.Fatal(err)
	}
	file, err := os.OpenFile(*access, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	s := &server{user: *user, token: *token, backend: handler, access: file}
	if *secure != "" {
		config := &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven}
		if config.ClientCAs, err = clientCAs(*clientCA); err != nil {
			log.Fatal(err)
		}
		https := &http.Server{Addr: *secure, Handler: s, TLSConfig: config, ReadHeaderTimeout: 10 * time.Second}
		go func() { log.Fatal(https.ListenAndServeTLS(*cert, *key)) }()
	}
	log.Fatal((&http.Server{Addr: *plain, Handler: s, ReadHeaderTimeout: 10 * time.Second}).ListenAndServe())
}
