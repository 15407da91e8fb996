package reports

import (
	"encoding/xml"
	"fmt"
	"io"

	"github.com/apex-x/apexx/backends"
)

// The elements and attributes that Jenkins' schema of JUnit files allows (junit-10.xsd of its xUnit plug-in), so that every
// reader takes them. It has properties for suites alone; the numbers of a test case are lines of its output.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string         `xml:"name,attr"`
		Tests      int            `xml:"tests,attr"`
		Failures   int            `xml:"failures,attr"`
		Errors     int            `xml:"errors,attr"`
		Skipped    int            `xml:"skipped,attr"`
		Timestamp  string         `xml:"timestamp,attr,omitempty"`
		Hostname   string         `xml:"hostname,attr,omitempty"`
		Properties *junitProperty `xml:"properties,omitempty"`
		Cases      []junitCase    `xml:"testcase"`
	}
	junitProperty struct {
		List []junitPair `xml:"property"`
	}
	junitPair struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Name      string       `xml:"name,attr"`
		Class     string       `xml:"classname,attr"`
		Time      string       `xml:"time,attr,omitempty"` // seconds
		Failure   *junitResult `xml:"failure,omitempty"`
		Error     *junitResult `xml:"error,omitempty"`
		Skipped   *junitResult `xml:"skipped,omitempty"`
		SystemOut string       `xml:"system-out,omitempty"`
	}
	junitResult struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// junitOf builds a suite and counts its cases.
func junitOf(name string, properties []backends.Fact, cases []junitCase) junitSuite {
	s := junitSuite{Name: name, Tests: len(cases), Cases: cases}
	if len(properties) > 0 {
		s.Properties = &junitProperty{}
		for _, f := range properties {
			s.Properties.List = append(s.Properties.List, junitPair{f.Key, f.Value})
		}
	}
	for _, c := range cases {
		switch {
		case c.Failure != nil:
			s.Failures++
		case c.Error != nil:
			s.Errors++
		case c.Skipped != nil:
			s.Skipped++
		}
	}
	return s
}

// writeJUnit writes the suites as one document.
func writeJUnit(w io.Writer, name string, suites []junitSuite) error {
	doc := junitSuites{Name: name, Suites: suites}
	for _, s := range suites {
		doc.Tests += s.Tests
		doc.Failures += s.Failures
		doc.Errors += s.Errors
	}
	data, err := xml.MarshalIndent(doc, "", "  ")
	if err != nil {
		return fmt.Errorf("write JUnit XML: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, data)
	return err
}

// junitSeconds renders milliseconds as the seconds of a time attribute, "" where there are none.
func junitSeconds(ms float64) string {
	if milliseconds(ms) == none || ms > 1e9 {
		return ""
	}
	return fmt.Sprintf("%.6f", ms/1000)
}
