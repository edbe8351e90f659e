package hooks

// Fields is what a hook brings back: declared names to values of their
// declared types. Values are string (text), json.Number (int, number), bool,
// []any and map[string]any (json). Canonical gives the one encoding that is
// counted, sent, stored and compared: JSON, keys sorted, no white space.
type Fields map[string]any
