// Package mask computes with binary masks as COCO has them: run lengths in column-major order.
//
// A mask comes from a polygon (polygon.go), from runs or pixels (rle.go), or from the compressed text of a COCO file (compressed.go).
// Masks are merged, measured and compared (algebra.go), mirrored and cut (geometry.go) without being expanded. Every result equals that
// of pycocotools bit for bit: the same pixels of a polygon, the same runs, the same text, the same double for an overlap.
package mask
