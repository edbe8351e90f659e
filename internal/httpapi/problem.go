package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"hookline/internal/api"
	"hookline/internal/errs"
)

const problemType = "application/problem+json"

// problem is an error answer; huma writes it as it stands.
type problem struct{ api.Problem }

// Error is the detail.
func (p *problem) Error() string { return p.Detail }

// GetStatus tells huma the status.
func (p *problem) GetStatus() int { return p.Status }

// ContentType is problem+json whatever was asked for.
func (p *problem) ContentType(string) string { return problemType }

// GetHeaders tells when to come back, where that helps.
func (p *problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	return h
}

// newProblem fills in what every problem has.
func newProblem(status int, code errs.Code, detail string) *problem {
	return &problem{api.Problem{Title: http.StatusText(status), Status: status, Code: string(code), Detail: detail}}
}

// problemOf maps an error. Coded errors are shown as they are; any other is
// "internal error" outside and whole in the log, joined by the request id.
func problemOf(ctx context.Context, log *slog.Logger, err error) *problem {
	e, ok := errs.As(err)
	internal := !ok || e.Kind() == errs.Internal
	switch {
	case internal && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
		return newProblem(http.StatusServiceUnavailable, errs.CodeUnavailable, "the request was stopped before it was done")
	case internal:
		return internalProblem(ctx, log, err)
	case e.Kind() == errs.Unavailable:
		log.WarnContext(ctx, "a request could not be answered", "request_id", requestID(ctx), "code", e.Code, "error", err)
	}
	p := newProblem(e.Kind().HTTPStatus(), e.Code, e.Error())
	p.Hint = e.Hint
	if e.Field != "" {
		p.Errors = []api.FieldProblem{{Field: e.Field, Message: e.Message}}
	}
	return p
}

func internalProblem(ctx context.Context, log *slog.Logger, cause any) *problem {
	id := requestID(ctx)
	log.ErrorContext(ctx, "request failed", "request_id", id, "error", cause)
	p := newProblem(http.StatusInternalServerError, errs.CodeInternal, "internal error")
	p.Hint = "the server's log has the cause under request id " + id
	return p
}

// write sends the problem outside huma, from a middleware or a bare handler.
func (p *problem) write(w http.ResponseWriter) {
	body, err := json.Marshal(p.Problem)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	maps.Copy(w.Header(), p.GetHeaders())
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // a client that has gone is no failure of ours
}

// ownProblems turns the error bodies that huma makes itself (validation, body
// too large) into ours. A transformer does this without huma's package
// variables, which every user of huma in a process would share.
func ownProblems(_ huma.Context, _ string, v any) (any, error) {
	switch e := v.(type) {
	case *huma.ErrorModel:
		return problemOfModel(e).Problem, nil
	case *problem:
		return e.Problem, nil
	}
	return v, nil
}

// problemOfModel leaves out the offending values that huma echoes: they can be
// secrets.
func problemOfModel(m *huma.ErrorModel) *problem {
	p := newProblem(m.Status, codeOfStatus(m.Status), m.Detail)
	if m.Status >= http.StatusInternalServerError {
		p.Detail = "internal error"
		return p
	}
	for _, d := range m.Errors {
		p.Errors = append(p.Errors, api.FieldProblem{Field: fieldOf(d.Location), Message: d.Message})
	}
	if len(p.Errors) > 0 {
		p.Detail = p.Errors[0].Field + ": " + p.Errors[0].Message
	}
	if m.Status == http.StatusRequestEntityTooLarge {
		p.Hint = "send less"
	}
	return p
}

func codeOfStatus(status int) errs.Code {
	switch {
	case status == http.StatusRequestEntityTooLarge:
		return errs.CodeTooLarge
	case status >= http.StatusInternalServerError:
		return errs.CodeInternal
	default:
		return errs.CodeBadInput
	}
}

// fieldOf drops the part of the request from a location such as
// "body.quantity", where something is left.
func fieldOf(location string) string {
	_, name, ok := strings.Cut(location, ".")
	if !ok {
		return location
	}
	return name
}
