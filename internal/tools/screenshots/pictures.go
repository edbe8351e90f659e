package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"hookline/internal/browsertest"
)

const (
	bestDir    = "docs/pictures"
	bestBytes  = 150_000 // of one picture at most
	bestHeight = 900     // pixels; what is below is cut
)

// choice is a picture of the README: of which look, and from which element of
// the page on; "" is its top.
type choice struct{ name, from string }

func chosen() []choice {
	return []choice{
		{"overview-1280-light", ""},
		{"problem-1280-light", ""},
		{"review-split-1280-dark", "#difference"},
		{"version-1280-light", ""},
		{"local-version-1280-light", ""},
		{"job-1280-dark", ""},
	}
}

type photographer struct {
	browser *browsertest.Browser
	world   *browsertest.World
	out     string
	wanted  *regexp.Regexp
	tops    map[string]int // of pictures that do not begin at their page's top, in pixels
}

// all takes every page in every look.
func (p *photographer) all(ctx context.Context) error {
	facts, err := p.world.Facts(ctx)
	if err != nil {
		return err
	}
	type visitor struct {
		as    string
		local bool
	}
	tabs := map[visitor]*browsertest.Tab{}
	defer func() {
		for _, t := range tabs {
			t.Close()
		}
	}()
	for _, page := range browsertest.Pages() {
		if !p.wanted.MatchString(page.Name) {
			continue
		}
		who := visitor{page.As, page.Local}
		if tabs[who] == nil {
			if tabs[who], err = p.world.Enter(ctx, p.browser, page); err != nil {
				return fmt.Errorf("cannot enter as %q: %w", page.As, err)
			}
		}
		if err := p.page(tabs[who], page, facts); err != nil {
			return fmt.Errorf("cannot take %s: %w", page.Name, err)
		}
	}
	return nil
}

// page takes one page in every look.
func (p *photographer) page(t *browsertest.Tab, page browsertest.Page, facts browsertest.Facts) error {
	for _, width := range []int64{1280, 360} {
		if err := t.Look(width, false); err != nil {
			return err
		}
		if err := t.Open(page.Path(facts)); err != nil {
			return err
		}
		for _, dark := range []bool{false, true} {
			if err := t.Look(width, dark); err != nil {
				return err
			}
			picture, err := t.Picture()
			if err != nil {
				return err
			}
			look := map[bool]string{false: "light", true: "dark"}[dark]
			name := fmt.Sprintf("%s-%d-%s", page.Name, width, look)
			if err := p.top(t, name); err != nil {
				return err
			}
			file := filepath.Join(p.out, name+".png")
			if err := os.WriteFile(file, picture, 0o644); err != nil {
				return err
			}
			fmt.Printf("%s  %d kB\n", file, (len(picture)+999)/1000)
		}
	}
	return nil
}

// top notes where a chosen picture begins.
func (p *photographer) top(t *browsertest.Tab, name string) error {
	i := slices.IndexFunc(chosen(), func(c choice) bool { return c.name == name })
	if i < 0 || chosen()[i].from == "" {
		return nil
	}
	y, err := browsertest.Evaluate[float64](t, fmt.Sprintf("document.querySelector(%q).getBoundingClientRect().top + scrollY", chosen()[i].from))
	p.tops[name] = max(0, int(y)-16)
	return err
}

// best makes the chosen pictures small and puts them into the documentation.
func (p *photographer) best() error {
	if err := os.MkdirAll(bestDir, 0o755); err != nil {
		return err
	}
	for _, c := range chosen() {
		name := c.name
		b, err := os.ReadFile(filepath.Join(p.out, name+".png"))
		if err != nil {
			return err
		}
		small, err := shrunk(b, p.tops[name])
		if err != nil {
			return fmt.Errorf("cannot shrink %s: %w", name, err)
		}
		if len(small) > bestBytes {
			return fmt.Errorf("%s has %d bytes, more than %d: choose another or cut it", name, len(small), bestBytes)
		}
		file := filepath.Join(bestDir, name+".png")
		if err := os.WriteFile(file, small, 0o644); err != nil {
			return err
		}
		fmt.Printf("%s  %d kB\n", file, (len(small)+999)/1000)
	}
	return nil
}

// shrunk is a picture from a line on, in at most 256 colours.
func shrunk(b []byte, top int) ([]byte, error) {
	full, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	bounds := full.Bounds()
	bounds.Min.Y = min(bounds.Min.Y+top, bounds.Max.Y-1)
	bounds.Max.Y = min(bounds.Max.Y, bounds.Min.Y+bestHeight)
	small := image.NewPaletted(image.Rect(0, 0, bounds.Dx(), bounds.Dy()), frequent(full, bounds))
	draw.Draw(small, small.Rect, full, bounds.Min, draw.Src)
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small)
	return out.Bytes(), err
}

// frequent are the colours that most of a picture is made of. Of the edges of
// letters there are many, close to each other: those are taken together.
func frequent(m image.Image, bounds image.Rectangle) color.Palette {
	count, sum := map[[3]uint32]int{}, map[color.RGBA]int{}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := color.RGBAModel.Convert(m.At(x, y)).(color.RGBA)
			sum[c]++
		}
	}
	best := map[[3]uint32]color.RGBA{}
	for c, n := range sum {
		key := [3]uint32{uint32(c.R >> 3), uint32(c.G >> 3), uint32(c.B >> 3)}
		count[key] += n
		if old, ok := best[key]; !ok || sum[old] < n || sum[old] == n && less(c, old) {
			best[key] = c
		}
	}
	keys := make([][3]uint32, 0, len(count))
	for key := range count {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b [3]uint32) int { return cmp.Or(cmp.Compare(count[b], count[a]), slices.Compare(a[:], b[:])) })
	var p color.Palette
	for _, key := range keys[:min(len(keys), 256)] {
		p = append(p, best[key])
	}
	return p
}

func less(a, b color.RGBA) bool {
	return slices.Compare([]uint8{a.R, a.G, a.B}, []uint8{b.R, b.G, b.B}) < 0
}
