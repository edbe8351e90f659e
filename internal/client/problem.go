package client

import (
	"encoding/json"
	"mime"
	"net/http"
	"strings"

	"hookline/internal/api"
	"hookline/internal/errs"
)

// refusal turns an error answer into a coded error. A code that this build
// does not know keeps its name in the text and gets the code of its status.
func refusal(res *http.Response, body []byte) error {
	p, ok := problem(res, body)
	if !ok {
		return errs.New(codeOfStatus(res.StatusCode), "cannot do that: the server answered %s", res.Status).
			WithHint("is this the address of hooklined?")
	}
	code := errs.Code(p.Code)
	detail := p.Detail
	if detail == "" {
		detail = p.Title
	}
	if !known(code) {
		if p.Code != "" {
			detail = p.Code + ": " + detail
		}
		code = codeOfStatus(res.StatusCode)
	}
	e := errs.New(code, "%s", detail)
	e.Hint = p.Hint
	for _, f := range p.Errors {
		if f.Message != "" && strings.HasSuffix(detail, f.Message) {
			continue // the detail says it already, field and all
		}
		if e.Field == "" && f.Field != "" {
			e.Field = f.Field
		}
		if f.Message != "" {
			e.Message += "; " + f.Field + ": " + f.Message
		}
	}
	return e
}

func problem(res *http.Response, body []byte) (api.Problem, bool) {
	var p api.Problem
	media, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil || (media != "application/problem+json" && media != "application/json") {
		return p, false
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return p, false
	}
	return p, p.Detail != "" || p.Title != ""
}

func known(code errs.Code) bool {
	for _, info := range errs.Table() {
		if info.Code == code {
			return true
		}
	}
	return false
}

func codeOfStatus(status int) errs.Code {
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType:
		return errs.CodeBadInput
	case http.StatusUnauthorized:
		return errs.CodeUnauthenticated
	case http.StatusForbidden:
		return errs.CodeForbidden
	case http.StatusNotFound:
		return errs.CodeNotFound
	case http.StatusConflict:
		return errs.CodeConflict
	case http.StatusRequestEntityTooLarge:
		return errs.CodeTooLarge
	case http.StatusTooManyRequests:
		return errs.CodeRateLimited
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return errs.CodeUnavailable
	}
	return errs.CodeInternal
}
