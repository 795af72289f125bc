# certs.sh: two private authorities, "cluster" for the API server and its clients, "site" for the Git server and the registry, so that a
# program which trusts one for the other is found out. Elliptic keys: made in milliseconds. Sourced by up.
# shellcheck shell=bash

authority() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1-ca.key" -out "$1-ca.crt" -days 365 \
		-subj "/CN=$1 authority of a test stack" -addext basicConstraints=critical,CA:TRUE \
		-addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
}

# certificate CA NAME SUBJECT USAGE [ALTERNATIVE NAMES]
certificate() {
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$2.key" -subj "$3" -out "$2.csr" 2>/dev/null
	openssl x509 -req -in "$2.csr" -CA "$1-ca.crt" -CAkey "$1-ca.key" -CAcreateserial -days 365 -out "$2.crt" -extfile <(
		printf 'extendedKeyUsage=%s\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n' "$4"
		[ -z "${5:-}" ] || printf 'subjectAltName=%s\n' "$5"
	) 2>/dev/null
	rm -f "$2.csr"
}

certificates() {
	local here=DNS:localhost,IP:127.0.0.1
	authority cluster
	authority site
	certificate cluster apiserver /CN=kube-apiserver serverAuth "DNS:kubernetes,DNS:kubernetes.default.svc,IP:10.96.0.1,$here"
	certificate cluster admin /O=system:masters/CN=admin clientAuth
	certificate site server /CN=localhost serverAuth "$here"
	certificate site client /CN=client clientAuth
	openssl genrsa -out sa.key 2048 2>/dev/null
	openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
}
