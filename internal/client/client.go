// Package client speaks the REST API: one method a route, typed by package
// api, every failure an errs.Error whose code says what happened.
//
//	c, err := client.New(client.Config{Server: "http://127.0.0.1:7080", Token: token})
//	me, err := c.Me(ctx)
//
// It does not follow redirects (they would carry the token elsewhere), caps
// what it reads, and sends the token over plain HTTP only to this machine.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"hookline/internal/errs"
)

// Limits of one exchange.
const (
	DefaultTimeout   = 30 * time.Second
	MaxResponseBytes = 32 << 20
)

// Config is what a Client needs.
type Config struct {
	Server    string        // "https://hookline.example", "http://127.0.0.1:7080"
	Token     string        // bearer token
	AllowHTTP bool          // send the token over plain HTTP to other machines too
	Timeout   time.Duration // of one request, DefaultTimeout when 0
	Transport http.RoundTripper
}

// Client is safe for concurrent use.
type Client struct {
	base  *url.URL
	token string
	http  *http.Client
}

// New checks the server's URL and makes a client; it sends nothing.
// errs.CodeBadInput names what is wrong with the URL.
func New(c Config) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(c.Server, "/"))
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, errs.New(errs.CodeBadInput, "cannot use the server address %q: it is not an http or https URL", c.Server).
			WithHint("for example: --server http://127.0.0.1:7080")
	}
	if base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, errs.New(errs.CodeBadInput, "cannot use the server address: it must be scheme, host, port and path only")
	}
	if base.Scheme == "http" && !c.AllowHTTP && !loopback(base.Hostname()) {
		return nil, errs.New(errs.CodeBadInput, "cannot send a token to %s over plain HTTP", base.Host).
			WithHint("use https, or --allow-http on a network that you trust")
	}
	if strings.ContainsFunc(c.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errs.New(errs.CodeBadInput, "cannot use the token: it holds characters that no token has")
	}
	timeout := c.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{
		base:  base,
		token: c.Token,
		http:  &http.Client{Timeout: timeout, Transport: c.Transport, CheckRedirect: stay},
	}, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Server is the base URL without a trailing slash.
func (c *Client) Server() string { return c.base.String() }

// get and post decode the answer into a T.
func get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	return call[T](ctx, c, http.MethodGet, path, query, nil)
}

func post[T any](ctx context.Context, c *Client, path string, body any) (T, error) {
	b, err := json.Marshal(body)
	if err != nil {
		var none T
		return none, errs.Wrap(errs.CodeInternal, err, "cannot encode the request")
	}
	return call[T](ctx, c, http.MethodPost, path, nil, b)
}

func put[T any](ctx context.Context, c *Client, path string, body any) (T, error) {
	b, err := json.Marshal(body)
	if err != nil {
		var none T
		return none, errs.Wrap(errs.CodeInternal, err, "cannot encode the request")
	}
	return call[T](ctx, c, http.MethodPut, path, nil, b)
}

func remove[T any](ctx context.Context, c *Client, path string) (T, error) {
	return call[T](ctx, c, http.MethodDelete, path, nil, nil)
}

func call[T any](ctx context.Context, c *Client, method, path string, query url.Values, body []byte) (T, error) {
	var out T
	req, err := c.request(ctx, method, path, query, body)
	if err != nil {
		return out, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return out, c.unreachable(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, MaxResponseBytes+1))
	if err != nil {
		return out, c.unreachable(err)
	}
	if len(b) > MaxResponseBytes {
		return out, errs.New(errs.CodeTooLarge, "cannot read the answer: it is longer than %d bytes", MaxResponseBytes).
			WithHint("ask for less with --limit")
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return out, refusal(res, b)
	}
	if err := json.Unmarshal(b, &out); err != nil {
		return out, errs.Wrap(errs.CodeInternal, err, "cannot understand the answer of %s", c.base.Host).
			WithHint("is this the address of hooklined, and of the same version?")
	}
	return out, nil
}

func (c *Client) request(ctx context.Context, method, path string, query url.Values, body []byte) (*http.Request, error) {
	u := c.base.String() + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, bytes.NewReader(body))
	if err != nil {
		return nil, errs.Wrap(errs.CodeBadInput, err, "cannot make the request")
	}
	req.Header.Set("Accept", "application/json, application/problem+json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return req, nil
}

// unreachable leaves out the URL that net/http repeats in its errors.
func (c *Client) unreachable(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	if call := (*os.SyscallError)(nil); errors.As(err, &call) {
		err = call.Err // "connection refused", without the dialing around it
	}
	return errs.Wrap(errs.CodeUnavailable, err, "cannot reach the server at %s", c.base.String()).
		WithHint("is hooklined running there? Check --server or HOOKLINE_SERVER")
}
