//go:build !amd64 || purego

package kernel

func (c *Conv[T]) vectorPanels() int { return 0 }

func (c *Conv[T]) packVector(_, _ []T, _, _, _, _ int) {}

func (c *Conv[T]) depthwiseVector() bool { return false }

func (c *Conv[T]) depthwisePixels(_, _ []T, _, _, _, _ int) {}
