package main

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	small, err := shrunk(b.Bytes(), 5)
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
	if a, b := color.RGBAModel.Convert(full.At(0, 205)).(color.RGBA), color.RGBAModel.Convert(got.At(0, 200)).(color.RGBA); max(a.R, b.R)-min(a.R, b.R) > 32 {
		t.Errorf("what was %v is %v: the picture does not begin at its line", a, b)
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
	for _, c := range chosen() {
		if !slices.Contains(all, c.name) {
			t.Errorf("%s is no picture of a page", c.name)
		}
	}
	if len(chosen()) != 6 {
		t.Errorf("there are %d chosen pictures, want 6", len(chosen()))
	}
}

// The README shows what was chosen, and no other picture is kept.
func TestReadmeShowsTheChosenPictures(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	kept, err := filepath.Glob("../../../" + bestDir + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range chosen() {
		file := bestDir + "/" + c.name + ".png"
		if !strings.Contains(string(readme), "("+file+")") {
			t.Errorf("the README does not show %s", file)
		}
		if _, err := os.Stat("../../../" + file); err != nil {
			t.Errorf("%v: make screenshots ARGS=-best", err)
		}
	}
	if len(kept) != len(chosen()) {
		t.Errorf("%s has %d files, want %d", bestDir, len(kept), len(chosen()))
	}
}
