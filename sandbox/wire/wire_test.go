package wire_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"hookline/sandbox/wire"
)

const limit = 4096

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	want := wire.Request{Op: wire.OpSet, Arg: "Näme", Line: 3}
	n, err := wire.Write(&b, want, []byte("tail\x00\xff"), limit)
	if err != nil || n != b.Len() {
		t.Fatal(n, err)
	}
	var got wire.Request
	tail, size, err := wire.Read(&b, &got, limit)
	if err != nil || size != n || got != want || string(tail) != "tail\x00\xff" {
		t.Errorf("%+v %q %d %v", got, tail, size, err)
	}
	if _, _, err := wire.Read(&b, &got, limit); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// A Reader gives frames one by one, however they come: in pieces, several at
// once, larger than its room.
func TestReader(t *testing.T) {
	t.Parallel()
	var sent bytes.Buffer
	sizes := []int{0, 1, 100, 40 << 10, 0, 5000, 7}
	for _, size := range sizes {
		if _, err := wire.Write(&sent, wire.Request{Op: wire.OpLog}, bytes.Repeat([]byte("x"), size), 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	for name, r := range map[string]io.Reader{
		"at once":      bytes.NewReader(sent.Bytes()),
		"by halves":    iotest.HalfReader(bytes.NewReader(sent.Bytes())),
		"byte by byte": iotest.OneByteReader(bytes.NewReader(sent.Bytes())),
		"with the end": iotest.DataErrReader(bytes.NewReader(sent.Bytes())),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := wire.NewReader(r)
			for i, size := range sizes {
				var head wire.Request
				tail, _, err := in.Next(&head, 1<<20)
				if err != nil || head.Op != wire.OpLog || len(tail) != size || len(bytes.Trim(tail, "x")) > 0 {
					t.Fatalf("frame %d: %+v, %d bytes, %v", i, head, len(tail), err)
				}
			}
			var head wire.Request
			if _, _, err := in.Next(&head, 1<<20); !errors.Is(err, io.EOF) {
				t.Errorf("at the end: %v", err)
			}
		})
	}
}

func TestBadFrames(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		frame string
		want  error
	}{
		"nothing":          {"", io.EOF},
		"half a length":    {"\x00\x00", io.ErrUnexpectedEOF},
		"half a body":      {"\x00\x00\x00\x09\x00\x00\x00\x02{}", io.ErrUnexpectedEOF},
		"too big":          {"\xff\xff\xff\xff", wire.ErrTooBig},
		"too short":        {"\x00\x00\x00\x03abc", wire.ErrMalformed},
		"head beyond":      {"\x00\x00\x00\x06\x00\x00\x00\x09{}", wire.ErrMalformed},
		"an empty head":    {"\x00\x00\x00\x04\x00\x00\x00\x00", wire.ErrMalformed},
		"an unknown call":  {"\x00\x00\x00\x06\x00\x00\x00\x02\x60\x00", wire.ErrMalformed},
		"half a head":      {"\x00\x00\x00\x06\x00\x00\x00\x02\x05\x02", wire.ErrMalformed},
		"a huge text":      {"\x00\x00\x00\x0d\x00\x00\x00\x09\x05\xff\xff\xff\xff\xff\xff\xff\x7f", wire.ErrMalformed},
		"more than a head": {"\x00\x00\x00\x0c\x00\x00\x00\x08\x05\x00\x00\x00\x00\x00\x00\x00", wire.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var head wire.Request
			if _, _, err := wire.Read(strings.NewReader(tt.frame), &head, limit); !errors.Is(err, tt.want) {
				t.Errorf("%v, expected %v", err, tt.want)
			}
			if _, _, err := wire.NewReader(strings.NewReader(tt.frame)).Next(&head, limit); !errors.Is(err, tt.want) {
				t.Errorf("read ahead: %v, expected %v", err, tt.want)
			}
		})
	}
	if _, err := wire.Encode(wire.Request{}, make([]byte, limit), limit); !errors.Is(err, wire.ErrTooBig) {
		t.Errorf("too large a frame was written: %v", err)
	}
}

// The heads that are JSON are decoded strictly.
func TestBadHeads(t *testing.T) {
	t.Parallel()
	for name, frame := range map[string]string{
		"head is no JSON":  "\x00\x00\x00\x06\x00\x00\x00\x02{{",
		"unknown key":      "\x00\x00\x00\x0b\x00\x00\x00\x07{\"x\":1}",
		"two values":       "\x00\x00\x00\x08\x00\x00\x00\x04{}{}",
		"an empty head":    "\x00\x00\x00\x04\x00\x00\x00\x00",
		"head is a number": "\x00\x00\x00\x05\x00\x00\x00\x011",
	} {
		var head wire.Start
		if _, _, err := wire.Read(bytes.NewReader([]byte(frame)), &head, limit); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnswersRoundTrip(t *testing.T) {
	t.Parallel()
	for _, want := range []wire.Response{{}, {Nil: true}, {Code: "denied", Error: "no"}, {Exit: -1, Split: 7}, {Exit: 255, Error: "x"}} {
		frame, err := wire.Encode(want, []byte("tail"), limit)
		if err != nil {
			t.Fatal(err)
		}
		var got wire.Response
		if tail, _, err := wire.Read(bytes.NewReader(frame), &got, limit); err != nil || got != want || string(tail) != "tail" {
			t.Errorf("%+v became %+v, %q: %v", want, got, tail, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	frame, _ := wire.Encode(wire.Request{Op: wire.OpRead, Arg: "/proc/meminfo"}, []byte("x"), limit)
	f.Add(frame)
	f.Add([]byte("\x00\x00\x00\x06\x00\x00\x00\x02{}"))
	other, _ := wire.Encode(wire.Request{Op: "fs.write", Arg: "x", Error: "e", Heap: -1}, nil, limit)
	f.Add(other)
	f.Fuzz(func(t *testing.T, b []byte) {
		var head, ahead wire.Request
		tail, size, err := wire.Read(bytes.NewReader(b), &head, limit)
		tailAhead, sizeAhead, errAhead := wire.NewReader(iotest.HalfReader(bytes.NewReader(b))).Next(&ahead, limit)
		if !errors.Is(errAhead, err) || err == nil && (sizeAhead != size || ahead != head || !bytes.Equal(tailAhead, tail)) {
			t.Fatalf("reading ahead gave %+v %q %d %v, reading %+v %q %d %v", ahead, tailAhead, sizeAhead, errAhead, head, tail, size, err)
		}
		if err != nil {
			return
		}
		if size > limit || size > len(b) {
			t.Fatalf("a frame of %d bytes from %d", size, len(b))
		}
		again, err := wire.Encode(head, tail, 8*limit)
		if err != nil {
			t.Fatal(err)
		}
		var second wire.Request
		if tail2, _, err := wire.Read(bytes.NewReader(again), &second, 8*limit); err != nil || second != head || !bytes.Equal(tail, tail2) {
			t.Fatalf("%+v became %+v: %v", head, second, err)
		}
	})
}
