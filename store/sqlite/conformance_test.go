package sqlite_test

import (
	"path/filepath"
	"testing"

	"hookline/store/sqlite"
	"hookline/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, dir string) storetest.Store {
		t.Helper()
		d, err := sqlite.Open(t.Context(), filepath.Join(dir, "hookline.db"), sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return d
	})
}
