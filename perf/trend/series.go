package trend

import (
	"cmp"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"

	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/stat"
)

// ReportSchemaID names the version of the JSON form of a Report.
const ReportSchemaID = "apexx.trend/2"

// permutationSeed makes the change points of a history the same every time.
const permutationSeed = 1

// Report is what a history says.
type Report struct {
	Schema  string  `json:"schema"`  // ReportSchemaID
	Classes []Class `json:"classes"` // in ascending order of ID
}

// Class is the history of one class of machines.
type Class struct {
	ID       string    `json:"id"`
	Kind     env.Kind  `json:"kind"`
	Runs     []RunRef  `json:"runs"`     // in the order in which they are judged, those that were removed included
	Series   []Series  `json:"series"`   // in ascending order of metric
	Ratchets []Ratchet `json:"ratchets"` // one per kind of file
}

// Series is one metric over the runs of a class that have it.
type Series struct {
	Metric   string    `json:"metric"`
	Unit     Unit      `json:"unit"`
	Runs     []int     `json:"runs"`   // positions in Class.Runs
	Values   []float64 `json:"values"` // in Unit
	Segments []Segment `json:"segments"`
	Changes  []Change  `json:"changes"`
}

// Segment is a stretch of a series without a change point.
type Segment struct {
	Start int     `json:"start"` // position in Values
	End   int     `json:"end"`   // position after the last
	Mean  float64 `json:"mean"`
	SD    float64 `json:"sd"`  // sample standard deviation; 0 for a single value
	Low   float64 `json:"low"` // of a 95 % confidence interval of the mean by Student's t; the mean itself for a single value
	High  float64 `json:"high"`
}

// Change is a change point: the series before and after have different distributions.
type Change struct {
	Index    int     `json:"index"` // of the first value after it
	P        float64 `json:"p"`     // of the permutation test
	Ratio    float64 `json:"ratio"` // mean of the segment after over the mean of the segment before
	SDBefore float64 `json:"sd_before"`
	SDAfter  float64 `json:"sd_after"`
	Before   string  `json:"before"`             // the last commit before it; the change is in the range BEFORE..AFTER
	After    string  `json:"after"`              // the first commit after it
	Software string  `json:"software,omitempty"` // "OLD → NEW", where the versions of libraries or drivers changed there too
}

// Analyze arranges runs, given as they were received, by class and metric. Runs that were removed are listed and have no part in
// anything else. Metrics that keep says no to have no series, but the
// ratchet holds them too; a nil keep keeps all.
func Analyze(runs []Run, keep func(metric string) bool) (*Report, error) {
	classes := map[string]bool{}
	for _, r := range runs {
		classes[r.Class] = true
	}
	report := &Report{Schema: ReportSchemaID, Classes: []Class{}}
	for _, id := range slices.Sorted(maps.Keys(classes)) {
		of := ofClass(runs, id)
		c := Class{ID: id, Kind: of[0].Kind, Ratchets: ratchets(of)}
		for _, r := range of {
			c.Runs = append(c.Runs, r.RunRef)
		}
		var err error
		if c.Series, err = seriesOf(of, keep); err != nil {
			return nil, err
		}
		report.Classes = append(report.Classes, c)
	}
	return report, nil
}

func seriesOf(runs []*Run, keep func(string) bool) ([]Series, error) {
	byMetric := map[string]*Series{}
	for i, r := range runs {
		if r.Removed != "" {
			continue
		}
		for _, p := range r.Points {
			if keep != nil && !keep(p.Metric) {
				continue
			}
			s := byMetric[p.Metric]
			if s == nil {
				s = &Series{Metric: p.Metric, Unit: p.Unit, Changes: []Change{}}
				byMetric[p.Metric] = s
			}
			s.Runs = append(s.Runs, i)
			s.Values = append(s.Values, p.Value)
		}
	}
	series := make([]Series, 0, len(byMetric))
	for _, s := range byMetric {
		series = append(series, *s)
	}
	slices.SortFunc(series, func(a, b Series) int { return cmp.Compare(a.Metric, b.Metric) })
	return series, divideAll(series, runs)
}

// divideAll divides every series, on all processors: long histories with many changes take seconds each.
func divideAll(series []Series, runs []*Run) error {
	errs := make([]error, len(series))
	var group sync.WaitGroup
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i := range series {
		free <- struct{}{}
		group.Go(func() {
			if err := series[i].divide(runs); err != nil {
				errs[i] = fmt.Errorf("metric %s: %w", series[i].Metric, err)
			}
			<-free
		})
	}
	group.Wait()
	return cmp.Or(errs...)
}

// divide finds the change points and describes the segments between them.
func (s *Series) divide(runs []*Run) error {
	divisions, err := ChangePoints(s.Values, permutationSeed)
	if err != nil {
		return err
	}
	start := 0
	for _, d := range divisions {
		s.Segments = append(s.Segments, s.segment(start, d.Index))
		start = d.Index
	}
	s.Segments = append(s.Segments, s.segment(start, len(s.Values)))
	for i, d := range divisions {
		left, right := s.Segments[i], s.Segments[i+1]
		before, after := runs[s.Runs[d.Index-1]], runs[s.Runs[d.Index]]
		c := Change{Index: d.Index, P: d.P, Ratio: right.Mean / left.Mean, SDBefore: left.SD, SDAfter: right.SD,
			Before: before.Name(), After: after.Name()}
		if before.Software != after.Software {
			c.Software = before.Software + " → " + after.Software
		}
		s.Changes = append(s.Changes, c)
	}
	return nil
}

func (s *Series) segment(start, end int) Segment {
	values := s.Values[start:end]
	mean, halfWidth := stat.MeanInterval(values, 0.95)
	g := Segment{Start: start, End: end, Mean: mean, Low: mean, High: mean}
	if len(values) > 1 {
		g.SD, g.Low, g.High = stat.StandardDeviation(values), mean-halfWidth, mean+halfWidth
	}
	return g
}
