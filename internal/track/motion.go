package track

// Noise of the motion model: standard deviations as shares of the box's side. The first two are those of DeepSORT (Wojke et
// al., ICIP 2017). A new track's velocity is unknown, and sides change slowly.
const (
	positionNoise   = 1. / 20  // of measured positions and sides, and of the change of a position in a frame
	velocityNoise   = 1. / 160 // of the change of a velocity in a frame
	sideNoise       = 1. / 80  // of the change of a side in a frame
	initialVelocity = 1. / 4   // per frame
)

// Box is x1, y1, x2, y2 in pixels.
type Box [4]float64

func (b Box) width() float64  { return b[2] - b[0] }
func (b Box) height() float64 { return b[3] - b[1] }

// buffered returns the box widened by a share of its sides on each side.
func (b Box) buffered(share float64) Box {
	dx, dy := share*b.width(), share*b.height()
	return Box{b[0] - dx, b[1] - dy, b[2] + dx, b[3] + dy}
}

// iou is intersection / (union + 1e-9).
func iou(a, b Box) float64 {
	w, h := min(a[2], b[2])-max(a[0], b[0]), min(a[3], b[3])-max(a[1], b[1])
	inter := max(w, 0) * max(h, 0)
	union := a.width()*a.height() + b.width()*b.height() - inter
	return inter / (union + 1e-9)
}

// motion is what is known of where an object is. Centre and size are independent along both axes, so the filter of the eight
// numbers falls apart into four: two of position and velocity, and two of a side alone. A side has no velocity: an object that
// disappears behind another one seems to shrink, and would go on shrinking unseen.
type motion struct {
	x, y          axis
	width, height level
}

func newMotion(b Box) motion {
	w, h := scale(b.width()), scale(b.height())
	return motion{
		x: newAxis((b[0]+b[2])/2, w), y: newAxis((b[1]+b[3])/2, h),
		width: level{b.width(), square(2 * positionNoise * w)}, height: level{b.height(), square(2 * positionNoise * h)},
	}
}

// scale keeps the noise of a box without area above 0.
func scale(side float64) float64 { return max(side, 1) }

func square(v float64) float64 { return v * v }

// predict moves on by one frame.
func (m *motion) predict() {
	w, h := scale(m.width.value), scale(m.height.value)
	m.x.predict(w)
	m.y.predict(h)
	m.width.variance += square(sideNoise * w)
	m.height.variance += square(sideNoise * h)
}

// correct takes a measured box into account.
func (m *motion) correct(b Box) {
	along, across := m.width.noise(b.width()), m.height.noise(b.height())
	m.x.correct((b[0]+b[2])/2, along)
	m.y.correct((b[1]+b[3])/2, across)
	m.width.correct(b.width(), along)
	m.height.correct(b.height(), across)
}

func (m *motion) box() Box {
	w, h := m.width.value/2, m.height.value/2
	return Box{m.x.position - w, m.y.position - h, m.x.position + w, m.y.position + h}
}

// level is a Kalman filter of one number that drifts.
type level struct{ value, variance float64 }

// noise is the variance of a measured side and of the centre along it. A side that is shorter than expected may be the part of
// the object that is not hidden: its centre is then off by up to half of what is missing.
func (l *level) noise(measured float64) float64 {
	return square(positionNoise*scale(l.value)) + square(max(l.value-measured, 0)/2)
}

func (l *level) correct(measured, noise float64) {
	gain := l.variance / (l.variance + noise)
	l.value += gain * (measured - l.value)
	l.variance *= 1 - gain
}

// axis is a Kalman filter of a position and its velocity per frame, with the covariance [pp pv; pv vv].
type axis struct {
	position, velocity float64
	pp, pv, vv         float64
}

func newAxis(position, side float64) axis {
	return axis{position: position, pp: square(2 * positionNoise * side), vv: square(initialVelocity * side)}
}

func (a *axis) predict(side float64) {
	a.position += a.velocity
	a.pp += 2*a.pv + a.vv + square(positionNoise*side)
	a.pv += a.vv
	a.vv += square(velocityNoise * side)
}

func (a *axis) correct(measured, noise float64) {
	s := a.pp + noise
	gainP, gainV := a.pp/s, a.pv/s
	residual := measured - a.position
	a.position += gainP * residual
	a.velocity += gainV * residual
	a.vv -= gainV * a.pv
	a.pv *= 1 - gainP
	a.pp *= 1 - gainP
}
