package hooktest_test

import (
	"testing"

	"hookline/internal/onebox"
	"hookline/internal/wiretest"
)

// onMongoDB ends the name of a test on a MongoDB server.
const onMongoDB = "/MongoDB"

// onStores runs a test on the embedded store and on a MongoDB server.
func onStores(t *testing.T, run func(t *testing.T, store string)) {
	t.Run("embedded", func(t *testing.T) { run(t, "") })
	t.Run(onMongoDB[1:], func(t *testing.T) { run(t, wiretest.Address(t)) })
}

// foundOn is found with a store.
func foundOn(t *testing.T, store string, plan onebox.Plan) *onebox.Deployment {
	t.Helper()
	d := deployment(t)
	d.Store = store
	must(t, d.Found(t.Context(), plan))
	return d
}
