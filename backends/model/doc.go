// Package model defines Apex-X: the one graph that every backend executes.
//
// The image flows through the files of this package in this order:
//
//	layers.go   the building blocks: convolution + group normalisation + SiLU, CheapBlock, linear layers
//	pv.go       the backbone (P3, P4, P5) and the coarse heads whose proxies say where the image is hard
//	router.go   tile statistics of the proxies → utility U and split utility S of every tile
//	select.go   U and S → the tiles of each level, under the budgets
//	ff.go       the heavy path: pack the chosen tiles, scan their tokens, modulate, refine, write back through a gate
//	fpn.go      the pyramid that fuses backbone and heavy features
//	heads.go    detection, decoding and suppression, masks, semantic logits, tracking embeddings
//	build.go    puts them together and names the outputs and taps
//
// Its sub-packages hold what the graph is made from: config (the configuration), weights (parameters by name) and routing
// (the tile and budget rules as host code, of which the graph's selection operators are the executable form).
//
// The modules and their parameters are those of spec/model.md section 3; their connection is the design's section 3.
package model
