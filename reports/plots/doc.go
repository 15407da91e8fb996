// Package plots draws what sweeps, gates and trends measured: the distributions of a gate's cells, latency and throughput over
// the size of the work, and the power of the gate.
//
// A drawing function returns a Figure, which knows its size, its words and its panels; WritePNG and WriteSVG turn one into
// bytes, the same bytes for the same data. Every figure keeps to one style (style.go): the palette of Okabe and Ito, whose
// colours are told apart under every common colour blindness, and beside it a marker and a dash pattern for each series, so
// that colour is never the only cue. Legends stand above the panels and cover nothing.
//
// Numbers that cannot be drawn (NaN, infinities, and what is not positive on a logarithmic axis) are left out.
package plots
