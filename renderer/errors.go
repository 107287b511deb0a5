package main

import (
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// The reasons an error reply can carry. The operator shows them in conditions.
const (
	reasonRequestInvalid    = "RequestInvalid"
	reasonTooLarge          = "TooLarge"
	reasonRangeInvalid      = "RangeInvalid"
	reasonChartInvalid      = "ChartInvalid"
	reasonValuesInvalid     = "ValuesInvalid"
	reasonTemplateFailed    = "TemplateFailed"
	reasonHookUnsupported   = "HookUnsupported"
	reasonManifestInvalid   = "ManifestInvalid"
	reasonPatchInvalid      = "PatchInvalid"
	reasonPatchUnmatched    = "PatchUnmatched"
	reasonReplicasUnmatched = "ReplicasUnmatched"
	reasonImagesUnmatched   = "ImagesUnmatched"
	reasonKustomizeFailed   = "KustomizeFailed"
)

// maxMessage bounds a message: it ends up in a status condition.
const maxMessage = 2048

// fault is an error as the person who wrote the chart or the overlay sees it:
// what is wrong, where, and what to do. The message does not repeat the place:
// whoever shows it puts "file:line: " in front.
type fault struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
	// File is relative to the chart or to the ejected kustomization.
	File string `json:"file"`
	// Line counts from 1; 0 means that no line is known.
	Line int `json:"line"`
}

// Error implements error.
func (f *fault) Error() string { return f.Reason + ": " + f.Message }

// faultf makes a fault without a place.
func faultf(reason, format string, args ...any) *fault {
	return &fault{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// at says where the fault is.
func (f *fault) at(file string, line int) *fault {
	f.File, f.Line = file, line
	return f
}

// errorReply is the answer to a request that failed.
type errorReply struct {
	OK    bool   `json:"ok"`
	Error *fault `json:"error"`
}

// replyFor turns any error into an error reply. Errors that no one gave a
// reason get the fallback.
func replyFor(err error, fallback string) *errorReply {
	var f *fault
	if !errors.As(err, &f) {
		f = &fault{Reason: fallback, Message: err.Error()}
	}
	shown := *f
	shown.Message = tidy(shown.Message)
	return &errorReply{Error: &shown}
}

// tidy makes a message fit for a condition: valid UTF-8, no control
// characters, no trailing space, at most maxMessage bytes.
func tidy(message string) string {
	message = strings.ToValidUTF8(message, "\uFFFD")
	message = strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if r < ' ' && r != '\n' || r == 0x7f {
			return -1
		}
		return r
	}, message)
	lines := strings.Split(message, "\n")
	kept := lines[:0]
	for _, line := range lines {
		if line = strings.TrimRight(line, " "); line != "" {
			kept = append(kept, line)
		}
	}
	message = strings.Join(kept, "\n")
	if len(message) > maxMessage {
		cut := maxMessage - len("…")
		for cut > 0 && message[cut]&0xC0 == 0x80 {
			cut--
		}
		message = message[:cut] + "…"
	}
	return message
}

// templatePlace finds "web/templates/deployment.yaml:12" with or without a column.
var templatePlace = regexp.MustCompile(`([A-Za-z0-9_.\-][^\s:"'()<>]*/[^\s:"'()<>]+):(\d+)(?::\d+)?`)

// templateFault maps what Helm says of a template to file and line. Helm
// prints the chain of includes from the outside in; the last place is the one
// that failed.
func templateFault(chart string, err error) *fault {
	text := err.Error()
	f := &fault{Reason: reasonTemplateFailed}
	places := templatePlace.FindAllStringSubmatch(text, -1)
	for _, place := range places {
		if strings.HasPrefix(place[1], chart+"/") {
			f.File = strings.TrimPrefix(place[1], chart+"/")
			f.Line, _ = strconv.Atoi(place[2])
		}
	}
	if f.File != "" {
		f.Message = templateCause(text)
		// The way there, unless it is that of a template that includes itself.
		if len(places) > 1 && len(text) < maxMessage/2 {
			f.Message += "\n" + text
		}
		return f
	}
	f.Message = "the chart's templates cannot be rendered: " + text
	return f
}

// templateCause is the innermost message of Helm's chain.
func templateCause(text string) string {
	if _, message, ok := strings.Cut(text, "execution error at ("); ok {
		if _, message, ok = strings.Cut(message, "): "); ok {
			return message
		}
	}
	if _, message, ok := strings.Cut(text, "parse error at ("); ok {
		if _, message, ok = strings.Cut(message, "): "); ok {
			return message
		}
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	if at := strings.LastIndex(last, ">: "); at >= 0 {
		return last[at+len(">: "):]
	}
	return last
}

// yamlLine finds the line in the messages of the YAML parsers.
var yamlLine = regexp.MustCompile(`\bline (\d+)`)

// yamlErrorLine is the line a YAML parser complains of, or 0. The parsers leave
// the first line out.
func yamlErrorLine(err error) int {
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ := strconv.Atoi(m[1])
		return line
	}
	if strings.HasPrefix(yamlCause(err), "yaml: ") {
		return 1
	}
	return 0
}

// yamlCause strips the wrappers that libraries put around a YAML parser's words.
func yamlCause(err error) string {
	text := err.Error()
	for _, marker := range []string{"error converting YAML to JSON: ", "MalformedYAMLError: ", "error unmarshaling JSON: "} {
		if _, after, ok := strings.Cut(text, marker); ok {
			text = after
		}
	}
	return strings.TrimSpace(text)
}

// schemaLine is one finding of the JSON schema validator.
var schemaLine = regexp.MustCompile(`^(\s*)- at '([^']*)': (.*)$`)

// schemaMessage rewrites the validator's findings from JSON pointers to the
// paths people write in values files, and puts them in order: the validator
// walks through maps, in another order each time.
func schemaMessage(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, line := range lines {
		m := schemaLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		path := "values"
		if m[2] != "" {
			for _, part := range strings.Split(m[2], "/")[1:] {
				path += "." + strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
			}
		}
		lines[i] = m[1] + "- " + path + ": " + sortNames(m[3])
	}
	var out []string
	for start := 0; start < len(lines); {
		end := start
		for end < len(lines) && isFinding(lines[end]) {
			end++
		}
		if end == start { // the name of a chart
			out = append(out, lines[start])
			start++
			continue
		}
		out = append(out, sortFindings(lines[start:end])...)
		start = end
	}
	return strings.Join(out, "\n")
}

// isFinding tells findings and what is indented below them from other lines.
func isFinding(line string) bool {
	return strings.HasPrefix(line, " ") || strings.HasPrefix(line, "- ")
}

// sortFindings sorts lines together with the deeper lines below them, on every
// level.
func sortFindings(lines []string) []string {
	depth := func(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }
	var blocks []string
	for start := 0; start < len(lines); {
		end := start + 1
		for end < len(lines) && depth(lines[end]) > depth(lines[start]) {
			end++
		}
		block := append([]string{lines[start]}, sortFindings(lines[start+1:end])...)
		blocks = append(blocks, strings.Join(block, "\n"))
		start = end
	}
	sort.Strings(blocks)
	return blocks
}

// namesNotAllowed finds the one list of names that has no order of its own.
var namesNotAllowed = regexp.MustCompile(`^additional properties (.*) not allowed$`)

// sortNames sorts the names in a finding.
func sortNames(finding string) string {
	m := namesNotAllowed.FindStringSubmatch(finding)
	if m == nil {
		return finding
	}
	names := strings.Split(m[1], ", ")
	sort.Strings(names)
	return "additional properties " + strings.Join(names, ", ") + " not allowed"
}
