package main

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"slices"
	"testing"

	"hookline/internal/browsertest"
)

// A picture with few colours keeps them all; one with many has the most
// frequent ones, each pixel close to what it was. What is below is cut.
func TestShrunk(t *testing.T) {
	full := image.NewRGBA(image.Rect(0, 0, 64, bestHeight+50))
	for y := range full.Rect.Max.Y {
		for x := range 64 {
			c := color.RGBA{240, 241, 242, 255}
			if x < 32 {
				c = color.RGBA{uint8(y), uint8(x * 8), uint8(x * y), 255}
			}
			full.Set(x, y, c)
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, full); err != nil {
		t.Fatal(err)
	}
	small, err := shrunk(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	got, err := png.Decode(bytes.NewReader(small))
	if err != nil {
		t.Fatal(err)
	}
	paletted, ok := got.(*image.Paletted)
	if !ok || len(paletted.Palette) > 256 || got.Bounds().Dy() != bestHeight {
		t.Fatalf("the picture is a %T of %v", got, got.Bounds())
	}
	if is := color.RGBAModel.Convert(got.At(40, 7)); is != (color.RGBA{240, 241, 242, 255}) {
		t.Errorf("the most frequent colour became %v", is)
	}
	worst := 0
	for y := range 30 { // few colours there: each is kept, or one next to it
		for x := range 32 {
			a, b := color.RGBAModel.Convert(full.At(x, y)).(color.RGBA), color.RGBAModel.Convert(got.At(x, y)).(color.RGBA)
			worst = max(worst, max(int(a.R), int(b.R))-min(int(a.R), int(b.R)))
		}
	}
	if worst > 96 {
		t.Errorf("a pixel's red is off by %d", worst)
	}
}

// The pictures of the README are of pages that there are.
func TestChosenPicturesAreOfPages(t *testing.T) {
	var all []string
	for _, p := range browsertest.Pages() {
		for _, look := range []string{"-1280-light", "-1280-dark", "-360-light", "-360-dark"} {
			all = append(all, p.Name+look)
		}
	}
	for _, name := range chosen() {
		if !slices.Contains(all, name) {
			t.Errorf("%s is no picture of a page", name)
		}
	}
	if len(chosen()) != 6 {
		t.Errorf("there are %d chosen pictures, want 6", len(chosen()))
	}
}
