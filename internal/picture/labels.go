package picture

// Labels resamples class logits [classes,h,w], which cover the whole input, to the picture and returns for every pixel,
// row-major, the class whose logit is greatest, the lowest of those that tie. Resampling is bilinear, as in Mask. The logits
// must be finite.
func (f Fit) Labels(logits []float32, classes, h, w int) []int32 {
	sx, sy := f.scales()
	gridX, gridY := float64(w)/float64(f.Width), float64(h)/float64(f.Height)
	columns := make([]cell, f.PictureWidth)
	for x := range columns {
		columns[x] = sample((float64(f.Left)+(float64(x)+0.5)*sx)*gridX, w)
	}
	labels := make([]int32, f.PictureWidth*f.PictureHeight)
	best := make([]float64, f.PictureWidth)
	line := make([]float64, w) // of one class, between two rows of its grid
	for y := range f.PictureHeight {
		v := sample((float64(f.Top)+(float64(y)+0.5)*sy)*gridY, h)
		row := labels[y*f.PictureWidth:][:f.PictureWidth]
		for class := range classes {
			top, bottom := logits[(class*h+v.low)*w:][:w], logits[(class*h+v.high)*w:][:w]
			for i := range line {
				line[i] = mix(float64(top[i]), float64(bottom[i]), v.weight)
			}
			for x, u := range columns {
				if logit := mix(line[u.low], line[u.high], u.weight); class == 0 || logit > best[x] {
					best[x], row[x] = logit, int32(class)
				}
			}
		}
	}
	return labels
}

// mix interpolates without fused operations, so that ties are ties on every architecture.
func mix(a, b, t float64) float64 { return float64((1-t)*a) + float64(t*b) }
