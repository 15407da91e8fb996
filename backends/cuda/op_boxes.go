package cuda

import "github.com/apex-x/apexx/backends/graph"

const (
	roiThreads  = 256
	roiChannels = 8 // of a block
	maskThreads = 512
)

// projection maps pixels of an image to cells of a grid, with scales rounded to float32.
type projection struct {
	height, width  int32
	scaleY, scaleX float32
}

func newProjection(grid []int, imageH, imageW int) projection {
	h, w := grid[2], grid[3]
	return projection{int32(h), int32(w), float32(h) / float32(imageH), float32(w) / float32(imageW)}
}

type roiMeanArgs struct {
	x, boxes, y             Address
	channels, boxesPerImage int32
	projection              projection
}

func lowerRoiMean(_ *compiler, s *step) error {
	op, x, boxes := s.Node.Op.(graph.RoiMeanPool), s.Node.In[0], s.Node.In[1]
	s.launches = func(m *memory) []Launch {
		args := roiMeanArgs{m.at(x), m.at(boxes), m.at(s.Node.Out[0]), int32(x.Shape[1]), int32(boxes.Shape[1]), newProjection(x.Shape, op.ImageHeight, op.ImageWidth)}
		return []Launch{launch("roi_mean", [3]int{boxes.Shape[0] * boxes.Shape[1], ceilDiv(x.Shape[1], roiChannels), 1}, roiThreads, args)}
	}
	return nil
}

type boxMaskArgs struct {
	x, boxes, y, scores Address
	projection          projection
	fill                float32
	_                   int32
}

func lowerBoxMask(_ *compiler, s *step) error {
	op, x, boxes := s.Node.Op.(graph.BoxMask), s.Node.In[0], s.Node.In[1]
	s.Allow(x)
	s.launches = func(m *memory) []Launch {
		args := boxMaskArgs{m.at(x), m.at(boxes), m.at(s.Node.Out[0]), m.at(s.Node.Out[1]), newProjection(x.Shape, op.ImageHeight, op.ImageWidth), float32(op.Fill), 0}
		return []Launch{launch("box_mask", [3]int{x.Shape[0] * x.Shape[1], 1, 1}, maskThreads, args)}
	}
	return nil
}
