package measure

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends/tensor"
)

// withoutTaps returns the outputs that every session of a cell has, whether or not it was compiled with taps.
func withoutTaps(out tensor.List) tensor.List {
	return slices.DeleteFunc(slices.Clone(out), func(n tensor.Named) bool { return strings.HasPrefix(n.Name, "tap.") })
}

// digestOf identifies outputs by their names, types, shapes and bits: the SHA-256 in hexadecimal. Taps do not count.
func digestOf(out tensor.List) string {
	sum := sha256.New()
	for _, n := range withoutTaps(out) {
		fmt.Fprintf(sum, "%q %v\n", n.Name, n.Tensor)
		switch n.DType() {
		case tensor.Float32:
			hashData(sum, tensor.Data[float32](n.Tensor))
		case tensor.Float64:
			hashData(sum, tensor.Data[float64](n.Tensor))
		case tensor.Int32:
			hashData(sum, tensor.Data[int32](n.Tensor))
		case tensor.Int64:
			hashData(sum, tensor.Data[int64](n.Tensor))
		case tensor.Bool:
			hashData(sum, tensor.Data[bool](n.Tensor))
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// hashData adds the elements in little-endian order, a few at a time.
func hashData[T tensor.Element](sum hash.Hash, data []T) {
	var buffer []byte
	for chunk := range slices.Chunk(data, 8192) {
		buffer, _ = binary.Append(buffer[:0], binary.LittleEndian, chunk) // fails for types without a fixed size alone
		sum.Write(buffer)
	}
}
