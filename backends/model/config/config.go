// Package config is the configuration of Apex-X: every key, its default, its allowed values, and the rules that join keys.
//
// Parse works in the order in which a value travels:
//
//  1. source.go reads the YAML into one node per section.key and puts the --set overrides over them;
//  2. decode.go turns nodes into the typed fields of Config, by the table in fields.go;
//  3. profiles.go fills what the file left to the profile, so an override of the profile changes the channels too;
//  4. rules.go checks every field and then the rules that join several.
//
// Every problem found on the way is reported, one per line, in a Problems error. encode.go writes a Config back.
package config

// Config is a complete configuration. Default and Parse make valid ones; after changing fields by hand call Validate.
type Config struct {
	Model   Model
	Routing Routing
	Train   Train
	Data    Data
	Runtime Runtime
}

// Model holds the shape of the network and of its tiles. Lengths are in cells of the FF map (P3, stride 8) unless a comment
// says otherwise.
type Model struct {
	Profile    string // nano, small, base or large: where the four lists below come from when not given
	PVChannels []int  // channels of P3, P4, P5
	PVStrides  []int  // image pixels per cell of P3, P4, P5
	FFChannels []int  // [0] is the width of the FPN and the heads; [1] belongs to a refinement that no module has
	FFStrides  []int  // the strides that go with FFChannels

	PVStride        int // image pixels per cell of the coarse proxies
	FFPrimaryStride int // image pixels per cell of the FF map; 8, because the FF map is P3

	TileSizeL0, TileSizeL1, TileSizeL2 int // side of a tile
	KmaxL0, KmaxL1, KmaxL2             int // most tiles chosen on a level

	NestingDepth      int  // tile levels below L0: 0, 1 or 2
	ForceDenseRouting bool // every L0 tile is chosen, without a budget
	DisableNesting    bool // only L0 runs, whatever NestingDepth says
	DisableSSM        bool // the scan over tile tokens yields zeros

	InputHeight, InputWidth int // image pixels, when the input's own shape does not say

	NumClasses    int     // classes of the detector; the semantic head has one more, the background
	MaskStride    int     // image pixels per cell of the instance masks
	RouterBackend string  // tiny_mlp, kan or identity
	OrderMode     string  // hilbert, multi_direction, l2r, r2l, u2d or d2u: the order of tiles in the scan
	ScanMode      string  // bidirectional or forward
	OverlapMode   string  // override or blend: how a processed tile enters the FF map
	BlendAlpha    float64 // weight of the tile under blend, in [0,1]
}

// Routing holds the budgets and costs of tile selection, in the units of CostHeavy, and the thresholds of hysteresis.
type Routing struct {
	BudgetTotal                  float64 // bound on the three budgets' sum
	BudgetB1, BudgetB2, BudgetB3 float64 // for L0 tiles, for splits into L1, for splits into L2
	CostHeavy, CostCheap         float64 // cost of a tile on the heavy path and on the cheap path
	ThetaOn, ThetaOff            float64 // a tile switches on above ThetaOn and off below ThetaOff
	ThetaSplit                   float64 // a tile may split above it
}

// Train holds the training settings: the curriculum, the budget's dual controller, losses, checkpoints, quantisation.
type Train struct {
	CurriculumStages                    []string
	MuInit, MuLR, MuMin, MuMax          float64 // dual variable: start, step size, bounds
	DualAdaptiveLR                      bool
	DualLRDecay                         float64
	DualDeltaClip                       *float64 // largest step, nil for none
	DualDeadbandRatio, DualErrorEMABeta float64
	DualLRMinScale, DualLRMaxScale      float64
	DistillWeight, SegBoundaryWeight    float64
	UsePCGradPP                         bool
	DisableDistill, DisablePCGradPP     bool
	OutputDir                           string
	SaveInterval                        int // epochs
	QATEnable, QATInt8, QATFP8          bool
}

// Data names the data set and its augmentation.
type Data struct {
	CocoTrainImages, CocoTrainAnnotations string // "" when there is none
	CocoValImages, CocoValAnnotations     string
	FlipProb, HSVProb, MosaicProb         float64
	ScaleMin, ScaleMax                    float64
}

// Runtime chooses how the model runs.
type Runtime struct {
	Backend              string // one of backends.Known
	FallbackPolicy       string // strict or permissive
	PrecisionProfile     string // quality, balanced or edge
	EnableExport         bool
	EnableRuntimePlugins bool
	ExportFormat         string // onnx or torchscript
	TRTEnable, ORTEnable bool
	Deterministic        bool
}

// Default is the configuration of an empty file: profile small, fully expanded. Setting Profile on it does not change the
// channels; Parse(nil, []string{"model.profile=nano"}) gives another profile's defaults.
func Default() Config {
	c := unexpanded()
	c.expand()
	return c
}

// unexpanded holds every default that does not depend on the profile.
func unexpanded() Config {
	return Config{
		Model: Model{
			Profile: "small", PVStride: 16, FFPrimaryStride: 8,
			TileSizeL0: 16, TileSizeL1: 8, TileSizeL2: 4,
			KmaxL0: 32, KmaxL1: 64, KmaxL2: 0,
			NestingDepth: 1, InputHeight: 128, InputWidth: 128,
			NumClasses: 80, MaskStride: 4, RouterBackend: "tiny_mlp",
			OrderMode: "hilbert", ScanMode: "bidirectional", OverlapMode: "override", BlendAlpha: 0.5,
		},
		Routing: Routing{
			BudgetTotal: 32, BudgetB1: 16, BudgetB2: 8, BudgetB3: 0,
			CostHeavy: 1, CostCheap: 0.2, ThetaOn: 0.6, ThetaOff: 0.45, ThetaSplit: 0.5,
		},
		Train: Train{
			CurriculumStages: []string{"det_stability", "seg_boundary"},
			MuInit:           0.1, MuLR: 0.01, MuMin: 0, MuMax: 10,
			DualErrorEMABeta: 0.9, DualLRMinScale: 0.5, DualLRMaxScale: 3,
			DistillWeight: 1, SegBoundaryWeight: 1, UsePCGradPP: true,
			OutputDir: "artifacts/train_output", SaveInterval: 1,
		},
		Data: Data{FlipProb: 0.5, HSVProb: 0.5, ScaleMin: 0.8, ScaleMax: 1.2},
		Runtime: Runtime{
			Backend: "reference", FallbackPolicy: "permissive", PrecisionProfile: "balanced",
			EnableExport: true, ExportFormat: "onnx", ORTEnable: true, Deterministic: true,
		},
	}
}

// EffectiveDepth is the number of tile levels below L0 that run: NestingDepth, or 0 under DisableNesting.
func (c *Config) EffectiveDepth() int {
	if c.Model.DisableNesting {
		return 0
	}
	return c.Model.NestingDepth
}

// SplitCost is the cost of splitting a tile into four, against the budget of its level (spec/routing.md 24).
const SplitCost = 1.0

// DeltaCost is what choosing a tile adds to the cost: max(CostHeavy - CostCheap, 1e-9).
func (c *Config) DeltaCost() float64 {
	return max(c.Routing.CostHeavy-c.Routing.CostCheap, 1e-9)
}
