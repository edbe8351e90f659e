package strict

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// ParseDuration reads a duration as people write it: what time.ParseDuration
// takes, or whole days as "7d". Signs and spaces are refused.
func ParseDuration(s string) (time.Duration, error) {
	if s == "" || strings.ContainsAny(s, "+- ") {
		return 0, fmt.Errorf("not a duration: %q", clip(s))
	}
	if num, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(num, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("not a duration: %q", clip(s))
		}
		return time.Duration(n) * day, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("not a duration: %q", clip(s))
	}
	return d, nil
}

// FormatDuration writes d so that ParseDuration reads it back, in whole days,
// hours, minutes or seconds where that is exact.
func FormatDuration(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if d >= u.unit && d%u.unit == 0 && (u.name != "d" || d/u.unit <= 65535) {
			return fmt.Sprintf("%d%s", d/u.unit, u.name)
		}
	}
	return d.String()
}
