package calibrate

import (
	"fmt"
	"strconv"
	"strings"
)

// Calibrator is one of TensorRT's own, an IInt8Calibrator that chooses ranges while an engine is built.
type Calibrator struct {
	Method string // entropy or max
	table  string // ends the version of its tables
}

// Calibrators are those whose tables are understood: IInt8EntropyCalibrator2 and IInt8MinMaxCalibrator.
var Calibrators = []Calibrator{{"entropy", "-EntropyCalibration2"}, {"max", "-MinMaxCalibration"}}

// calibratorMethod begins the Key.Method of ranges that a Calibrator chose.
const calibratorMethod = "tensorrt:"

// ParseCalibrator reads tensorrt:entropy or tensorrt:max. It tells whether the text is meant to be one of them.
func ParseCalibrator(text string) (c Calibrator, meant bool, err error) {
	method, meant := strings.CutPrefix(text, calibratorMethod)
	for _, c := range Calibrators {
		if c.Method == method {
			return c, meant, nil
		}
	}
	return c, meant, fmt.Errorf("unknown method %q of TensorRT (want tensorrt:entropy or tensorrt:max)", method)
}

// String is what ParseCalibrator reads.
func (c Calibrator) String() string { return calibratorMethod + c.Method }

// tableVersion is the version of the tables of the calibrator in a TensorRT, such as 10.6.0: TRT-100600-EntropyCalibration2.
func (c Calibrator) tableVersion(library string) string {
	number := 0
	for _, part := range strings.Split(library, ".") {
		n, _ := strconv.Atoi(part)
		number = 100*number + n
	}
	return tableVersion + strconv.Itoa(number) + c.table
}

// Check returns an error that says why a table cannot stand for what a calibrator of a TensorRT would find under a key: it does not tell its key, or
// has another one, or another calibrator, or that of another TensorRT, wrote it.
func (t *Table) Check(key Key, c Calibrator, library string) error {
	switch want := c.tableVersion(library); {
	case t.Cache == "":
		return fmt.Errorf("it does not tell its key")
	case t.Cache != key.Cache():
		return fmt.Errorf("it is stale, by its cache_key %.12s, which here is %.12s", t.Cache, key.Cache())
	case t.Version != want:
		return fmt.Errorf("it is stale: it is one of %s, want %s", t.Version, want)
	}
	return nil
}

// Governed returns a table that a TensorRT wrote under the header that tells its key.
func Governed(table []byte, key Key) []byte {
	return fmt.Appendf(nil, "%s{\"cache_key\":%q,\"schema_version\":1}\n\n%s", tableHeader, key.Cache(), table)
}
