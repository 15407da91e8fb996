// Package evaluate measures how good detections, labels and segments are.
//
// MatchBoxes and MatchMasks pair what a detector found with the objects of a data set, image by image (match.go). What comes of it is
// summed up as precision at 101 recalls (accumulate.go) and as COCO's twelve numbers (summary.go), for all images or, with weights, for
// those of a bootstrap replicate (bootstrap.go): the sums are made anew from the same pairs. By the scores of detections they are counted
// in strata.go. Labels of pixels are compared in semantic.go, segments in panoptic.go, single numbers in regression.go.
//
// Detection numbers are those of pycocotools, panoptic ones those of panopticapi's rules; both are told where they are computed.
package evaluate
