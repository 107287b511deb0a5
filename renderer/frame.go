package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxFrame is the largest message in either direction.
const maxFrame = 64 << 20

// errFrameTooLarge reports a frame longer than maxFrame. Its bytes have been
// read and thrown away, so the stream is still usable.
var errFrameTooLarge = errors.New("message too large")

// readFrame reads one message: a 4-byte big-endian length and as many bytes.
// It returns io.EOF when the stream ends between messages.
func readFrame(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("the stream ended inside a message's length: %w", err)
		}
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxFrame {
		if _, err := io.CopyN(io.Discard, r, int64(n)); err != nil {
			return nil, fmt.Errorf("the stream ended inside a message: %w", err)
		}
		return nil, errFrameTooLarge
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fmt.Errorf("the stream ended inside a message of %d bytes: %w", n, err)
	}
	return body, nil
}

// writeFrame writes one message. Anything longer than maxFrame is refused with
// errFrameTooLarge and nothing is written.
func writeFrame(w io.Writer, body []byte) error {
	if len(body) > maxFrame {
		return errFrameTooLarge
	}
	var head [4]byte
	binary.BigEndian.PutUint32(head[:], uint32(len(body)))
	if _, err := w.Write(head[:]); err != nil {
		return err
	}
	_, err := w.Write(body)
	return err
}
