package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestFramesRoundTrip(t *testing.T) {
	var stream bytes.Buffer
	bodies := []string{"", "{}", strings.Repeat("x", 100_000)}
	for _, body := range bodies {
		if err := writeFrame(&stream, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	for _, body := range bodies {
		got, err := readFrame(&stream)
		if err != nil || string(got) != body {
			t.Fatalf("got %d bytes, %v; want %d", len(got), err, len(body))
		}
	}
	if _, err := readFrame(&stream); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

func TestTruncatedFrames(t *testing.T) {
	for name, stream := range map[string]string{
		"in the length": "\x00\x00",
		"in the body":   "\x00\x00\x00\x05abc",
	} {
		if _, err := readFrame(strings.NewReader(stream)); err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// zeros is an endless stream.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestLongFramesAreSkipped(t *testing.T) {
	var head [4]byte
	binary.BigEndian.PutUint32(head[:], maxFrame+1)
	stream := io.MultiReader(bytes.NewReader(head[:]), io.LimitReader(zeros{}, maxFrame+1), strings.NewReader("\x00\x00\x00\x02{}"))
	if _, err := readFrame(stream); !errors.Is(err, errFrameTooLarge) {
		t.Fatalf("got %v", err)
	}
	if body, err := readFrame(stream); err != nil || string(body) != "{}" {
		t.Errorf("afterwards: %q, %v", body, err)
	}
	if err := writeFrame(io.Discard, make([]byte, maxFrame+1)); !errors.Is(err, errFrameTooLarge) {
		t.Errorf("writing: %v", err)
	}
}
