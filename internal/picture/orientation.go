package picture

import (
	"bytes"
	"encoding/binary"
)

// orientation returns the orientation tag (1 to 8) of a JPEG's Exif segment or a PNG's eXIf chunk; 1, upright, when there
// is none or when it is damaged: a picture with a broken tag is still a picture.
func orientation(data []byte) int {
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xd8}):
		return tiffOrientation(jpegExif(data))
	case bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")):
		return tiffOrientation(pngExif(data))
	}
	return 1
}

// exifMark precedes the TIFF block in a JPEG. In a PNG it does not belong, and some writers put it there.
const exifMark = "Exif\x00\x00"

// jpegExif returns the TIFF block of the first Exif APP1 segment before the scan.
func jpegExif(data []byte) []byte {
	for i := 2; i+4 <= len(data) && data[i] == 0xff; {
		if data[i+1] == 0xff { // any number of fill bytes may precede a marker (ITU T.81, B.1.1.2)
			i++
			continue
		}
		marker, size := data[i+1], int(binary.BigEndian.Uint16(data[i+2:]))
		if marker == 0xda || size < 2 || i+2+size > len(data) {
			return nil
		}
		segment := data[i+4 : i+2+size]
		if exif, ok := bytes.CutPrefix(segment, []byte(exifMark)); ok && marker == 0xe1 {
			return exif
		}
		i += 2 + size
	}
	return nil
}

// pngExif returns the contents of the eXIf chunk.
func pngExif(data []byte) []byte {
	for i := 8; i+8 <= len(data); {
		size := int(binary.BigEndian.Uint32(data[i:]))
		if size > len(data)-i-8 {
			return nil
		}
		if string(data[i+4:i+8]) == "eXIf" {
			return bytes.TrimPrefix(data[i+8:i+8+size], []byte(exifMark))
		}
		i += 12 + size
	}
	return nil
}

// tiffOrientation finds tag 0x0112 in the first directory of a TIFF block (TIFF 6.0, sections 2 and 8), a SHORT there; some
// writers make it a LONG.
func tiffOrientation(tiff []byte) int {
	if len(tiff) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch string(tiff[:4]) {
	case "II*\x00":
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 1
	}
	offset := uint64(order.Uint32(tiff[4:]))
	if offset+2 > uint64(len(tiff)) {
		return 1
	}
	entries := tiff[offset+2:]
	for range order.Uint16(tiff[offset:]) {
		if len(entries) < 12 {
			return 1
		}
		if order.Uint16(entries) == 0x0112 {
			return validOrientation(order, entries)
		}
		entries = entries[12:]
	}
	return 1
}

// validOrientation reads the value of the orientation's directory entry.
func validOrientation(order binary.ByteOrder, entry []byte) int {
	const short, long = 3, 4
	v := uint32(1)
	switch order.Uint16(entry[2:]) {
	case short:
		v = uint32(order.Uint16(entry[8:]))
	case long:
		v = order.Uint32(entry[8:])
	}
	if v < 1 || v > 8 {
		return 1
	}
	return int(v)
}

// Oriented returns the picture as an Exif orientation of 1 to 8 asks for it: 2 to 4 mirror and turn by 180°, 5 to 8 also
// transpose.
func (p *Picture) Oriented(tag int) *Picture {
	if tag <= 1 || tag > 8 {
		return p
	}
	out := &Picture{Width: p.Width, Height: p.Height, Pix: make([]byte, len(p.Pix))}
	if tag >= 5 {
		out.Width, out.Height = p.Height, p.Width
	}
	i := 0
	for y := range out.Height {
		for x := range out.Width {
			sx, sy := x, y
			if tag >= 5 {
				sx, sy = y, x
			}
			if tag == 2 || tag == 3 || tag == 7 || tag == 8 {
				sx = p.Width - 1 - sx
			}
			if tag == 3 || tag == 4 || tag == 6 || tag == 7 {
				sy = p.Height - 1 - sy
			}
			copy(out.Pix[i:i+3], p.Pix[3*(sy*p.Width+sx):])
			i += 3
		}
	}
	return out
}
