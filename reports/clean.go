package reports

import (
	"reflect"

	"github.com/apex-x/apexx/internal/printable"
)

// clean returns a deep copy in which every string is one printable.Line. Records hold what other programs said, and files are named
// by anyone; a report escapes markup where it writes it, but control characters and directional overrides have no place in any.
func clean[T any](v T) T {
	out := reflect.New(reflect.TypeFor[T]()).Elem()
	cleanInto(out, reflect.ValueOf(&v).Elem())
	return out.Interface().(T)
}

func cleanInto(to, from reflect.Value) {
	to.Set(from) // also what no case below changes, such as the inside of a time
	switch from.Kind() {
	case reflect.String:
		to.SetString(printable.Line(from.String()))
	case reflect.Pointer:
		if !from.IsNil() {
			to.Set(reflect.New(from.Type().Elem()))
			cleanInto(to.Elem(), from.Elem())
		}
	case reflect.Struct:
		for i := range from.NumField() {
			if from.Type().Field(i).IsExported() {
				cleanInto(to.Field(i), from.Field(i))
			}
		}
	case reflect.Slice:
		if !from.IsNil() && mayHoldText(from.Type().Elem()) {
			to.Set(reflect.MakeSlice(from.Type(), from.Len(), from.Len()))
			for i := range from.Len() {
				cleanInto(to.Index(i), from.Index(i))
			}
		}
	case reflect.Map:
		if !from.IsNil() {
			to.Set(reflect.MakeMap(from.Type()))
			for it := from.MapRange(); it.Next(); {
				key, value := reflect.New(from.Type().Key()).Elem(), reflect.New(from.Type().Elem()).Elem()
				cleanInto(key, it.Key())
				cleanInto(value, it.Value())
				to.SetMapIndex(key, value)
			}
		}
	}
}

// mayHoldText spares the copying of samples, which are most of a record.
func mayHoldText(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Pointer, reflect.Struct, reflect.Slice, reflect.Map:
		return true
	}
	return false
}
