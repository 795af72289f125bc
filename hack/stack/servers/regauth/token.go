package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// A grant is what one token allows, as the Docker token protocol words it.
type grant struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

type claims struct {
	Audience string  `json:"aud"`
	Expires  int64   `json:"exp"`
	Access   []grant `json:"access"`
}

// An issuer makes and checks the bearer tokens of one process; they are opaque to clients and die with it.
type issuer struct{ secret []byte }

func newIssuer() *issuer {
	secret := make([]byte, 32)
	rand.Read(secret)
	return &issuer{secret}
}

func (i *issuer) mac(body string) string {
	h := hmac.New(sha256.New, i.secret)
	h.Write([]byte(body))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

func (i *issuer) issue(service string, scopes []string, life time.Duration) string {
	c := claims{Audience: service, Expires: time.Now().Add(life).Unix(), Access: grants(scopes)}
	raw, _ := json.Marshal(c)
	body := base64.RawURLEncoding.EncodeToString(raw)
	return body + "." + i.mac(body)
}

// grants reads scopes of the form repository:NAME:ACTION,ACTION; NAME itself may hold colons.
func grants(scopes []string) []grant {
	var out []grant
	for _, scope := range strings.Fields(strings.Join(scopes, " ")) {
		parts := strings.Split(scope, ":")
		if n := len(parts); n >= 3 {
			out = append(out, grant{parts[0], strings.Join(parts[1:n-1], ":"), strings.Split(parts[n-1], ",")})
		}
	}
	return out
}

// check says why a token does not allow action on repository ("" for none in particular).
func (i *issuer) check(token, repository, action string) error {
	body, mac, _ := strings.Cut(token, ".")
	if !hmac.Equal([]byte(mac), []byte(i.mac(body))) {
		return errors.New("the token is not ours")
	}
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		return err
	}
	var c claims
	if err := json.Unmarshal(raw, &c); err != nil {
		return err
	}
	if time.Now().Unix() >= c.Expires {
		return errors.New("the token has expired")
	}
	if repository == "" {
		return nil
	}
	for _, g := range c.Access {
		for _, a := range g.Actions {
			if g.Type == "repository" && g.Name == repository && (a == action || a == "*") {
				return nil
			}
		}
	}
	return errors.New("the token does not allow " + action + " on " + repository)
}
