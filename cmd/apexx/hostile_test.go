package main

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// hostile makes files that lie about themselves, by kind.
var hostile = map[string]func() ([]byte, error){
	// The header claims 2^62 bytes.
	"st-header": func() ([]byte, error) { return append(binary.LittleEndian.AppendUint64(nil, 1<<62), "{}"...), nil },
	// The tensor claims more bytes than the file has.
	"st-offset": func() ([]byte, error) {
		return tensorFile(`{"image":{"dtype":"F32","shape":[1,3,128,128],"data_offsets":[0,196608]}}`, 16), nil
	},
	// The product of the dimensions overflows to 0.
	"st-shape": func() ([]byte, error) {
		return tensorFile(`{"image":{"dtype":"F32","shape":[4294967296,3,4294967296,1],"data_offsets":[0,0]}}`, 0), nil
	},
	// Two tensors share their bytes.
	"st-overlap": func() ([]byte, error) {
		return tensorFile(`{"image":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"b":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}`, 16), nil
	},
	"st-json":  func() ([]byte, error) { return tensorFile(strings.Repeat("[", 100000), 0), nil },
	"st-empty": func() ([]byte, error) { return nil, nil },
	"png-truncated": func() ([]byte, error) {
		data, err := encodedPNG()
		return data[:len(data)/2], err
	},
	// The header promises 3.6 billion pixels.
	"png-huge": func() ([]byte, error) {
		data, err := encodedPNG()
		binary.BigEndian.PutUint32(data[16:], 60000)
		binary.BigEndian.PutUint32(data[20:], 60000)
		binary.BigEndian.PutUint32(data[29:], crc32.ChecksumIEEE(data[12:29]))
		return data, err
	},
	// A kilobyte that fitting into whole tiles would make 1.5 GB, and the model some more.
	"png-wide": func() ([]byte, error) {
		var b bytes.Buffer
		err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 1000000, 1)))
		return b.Bytes(), err
	},
	// A palette of one colour, with and without opacity.
	"png-opaque": func() ([]byte, error) { return palettePNG(255) },
	"png-clear":  func() ([]byte, error) { return palettePNG(0) },
	"bom":        func() ([]byte, error) { return []byte("\ufeffmodel:\n  profile: small\n"), nil },
	// A good picture whose orientation tag is garbage: it is read as upright.
	"jpeg-exif": func() ([]byte, error) {
		var b bytes.Buffer
		err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 40, 20)), nil)
		exif := "Exif\x00\x00II*\x00\xff\xff\xff\xff garbage"
		segment := append([]byte{0xff, 0xd8, 0xff, 0xe1, 0, byte(len(exif) + 2)}, exif...)
		return append(segment, b.Bytes()[2:]...), err
	},
}

func palettePNG(alpha uint8) ([]byte, error) {
	var b bytes.Buffer
	err := png.Encode(&b, image.NewPaletted(image.Rect(0, 0, 128, 128), color.Palette{color.NRGBA{200, 30, 30, alpha}}))
	return b.Bytes(), err
}

// writeNames makes two cases whose names are commands or no text in a folder, and files that are no cases.
func writeNames(ts *testscript.TestScript, _ bool, args []string) {
	picture, err := encodedPNG()
	ts.Check(err)
	for _, name := range []string{"a\n::error file=x::pwned.png", "b\xff.png", "._a.png", "notes.txt"} {
		ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(args[0]), name), picture, 0o644))
	}
}

func encodedPNG() ([]byte, error) {
	var b bytes.Buffer
	err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 64, 64)))
	return b.Bytes(), err
}

// tensorFile joins a safetensors header and n bytes of data.
func tensorFile(header string, n int) []byte {
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), make([]byte, n)...)
}

func writeDamaged(ts *testscript.TestScript, _ bool, args []string) {
	make := hostile[args[1]]
	if make == nil {
		ts.Fatalf("unknown kind %s", args[1])
	}
	data, err := make()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o644))
}
