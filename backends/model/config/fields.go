package config

import (
	"strings"

	"github.com/apex-x/apexx/backends"
)

// sections in the order in which they are written and reported.
var sections = []string{"model", "routing", "train", "data", "runtime"}

// field is one key: where its value lives, and which values it may have.
type field struct {
	key   string            // section.key
	at    func(*Config) any // *int, *float64, *bool, *string, *[]int, *[]string or **float64
	rule  rule
	alias map[string]string // other spellings of an enumerated value
}

// Bounds without a counterpart in the specification: far beyond any use, they keep a wrong number from exhausting memory.
const (
	maxChannels = 1024
	maxTiles    = 1 << 20
	maxPixels   = 16384 // of one side of the input
)

// MaxClasses is the largest model.num_classes, far beyond any use, too.
const MaxClasses = 65535

// fields lists every key, one rule per row (spec/model.md sections 1.2 to 1.6, and DESIGN section 3 for the model keys from
// num_classes on).
var fields = []field{
	{key: "model.profile", at: func(c *Config) any { return &c.Model.Profile }, rule: oneOf(profileNames...)},
	{key: "model.pv_channels", at: func(c *Config) any { return &c.Model.PVChannels }, rule: list(3, 1, maxChannels)},
	{key: "model.pv_strides", at: func(c *Config) any { return &c.Model.PVStrides }, rule: exactly(8, 16, 32)},
	{key: "model.ff_channels", at: func(c *Config) any { return &c.Model.FFChannels }, rule: list(2, 1, maxChannels)},
	{key: "model.ff_strides", at: func(c *Config) any { return &c.Model.FFStrides }, rule: list(2, 1, maxPixels)},
	{key: "model.pv_stride", at: func(c *Config) any { return &c.Model.PVStride }, rule: between(1, maxPixels)},
	{key: "model.ff_primary_stride", at: func(c *Config) any { return &c.Model.FFPrimaryStride }, rule: only(8, "the stride of P3")},
	{key: "model.tile_size_l0", at: func(c *Config) any { return &c.Model.TileSizeL0 }, rule: between(1, maxPixels)},
	{key: "model.tile_size_l1", at: func(c *Config) any { return &c.Model.TileSizeL1 }, rule: between(1, maxPixels)},
	{key: "model.tile_size_l2", at: func(c *Config) any { return &c.Model.TileSizeL2 }, rule: between(1, maxPixels)},
	{key: "model.kmax_l0", at: func(c *Config) any { return &c.Model.KmaxL0 }, rule: between(1, maxTiles)},
	{key: "model.kmax_l1", at: func(c *Config) any { return &c.Model.KmaxL1 }, rule: between(0, maxTiles)},
	{key: "model.kmax_l2", at: func(c *Config) any { return &c.Model.KmaxL2 }, rule: between(0, maxTiles)},
	{key: "model.nesting_depth", at: func(c *Config) any { return &c.Model.NestingDepth }, rule: between(0, 2)},
	{key: "model.force_dense_routing", at: func(c *Config) any { return &c.Model.ForceDenseRouting }, rule: boolean},
	{key: "model.disable_nesting", at: func(c *Config) any { return &c.Model.DisableNesting }, rule: boolean},
	{key: "model.disable_ssm", at: func(c *Config) any { return &c.Model.DisableSSM }, rule: boolean},
	{key: "model.input_height", at: func(c *Config) any { return &c.Model.InputHeight }, rule: between(1, maxPixels)},
	{key: "model.input_width", at: func(c *Config) any { return &c.Model.InputWidth }, rule: between(1, maxPixels)},
	{key: "model.num_classes", at: func(c *Config) any { return &c.Model.NumClasses }, rule: between(1, MaxClasses)},
	{key: "model.mask_stride", at: func(c *Config) any { return &c.Model.MaskStride }, rule: between(1, maxPixels)},
	{key: "model.router_backend", at: func(c *Config) any { return &c.Model.RouterBackend }, rule: oneOf("tiny_mlp", "kan", "identity")},
	{key: "model.order_mode", at: func(c *Config) any { return &c.Model.OrderMode }, alias: orderAliases,
		rule: oneOf("hilbert", "multi_direction", "l2r", "r2l", "u2d", "d2u")},
	{key: "model.scan_mode", at: func(c *Config) any { return &c.Model.ScanMode }, rule: oneOf("bidirectional", "forward")},
	{key: "model.overlap_mode", at: func(c *Config) any { return &c.Model.OverlapMode }, rule: oneOf("override", "blend")},
	{key: "model.blend_alpha", at: func(c *Config) any { return &c.Model.BlendAlpha }, rule: unit},

	{key: "routing.budget_total", at: func(c *Config) any { return &c.Routing.BudgetTotal }, rule: positive},
	{key: "routing.budget_b1", at: func(c *Config) any { return &c.Routing.BudgetB1 }, rule: nonNegative},
	{key: "routing.budget_b2", at: func(c *Config) any { return &c.Routing.BudgetB2 }, rule: nonNegative},
	{key: "routing.budget_b3", at: func(c *Config) any { return &c.Routing.BudgetB3 }, rule: nonNegative},
	{key: "routing.cost_heavy", at: func(c *Config) any { return &c.Routing.CostHeavy }, rule: finite},
	{key: "routing.cost_cheap", at: func(c *Config) any { return &c.Routing.CostCheap }, rule: nonNegative},
	{key: "routing.theta_on", at: func(c *Config) any { return &c.Routing.ThetaOn }, rule: unit},
	{key: "routing.theta_off", at: func(c *Config) any { return &c.Routing.ThetaOff }, rule: unit},
	{key: "routing.theta_split", at: func(c *Config) any { return &c.Routing.ThetaSplit }, rule: unit},

	{key: "train.curriculum_stages", at: func(c *Config) any { return &c.Train.CurriculumStages }, rule: someTexts},
	{key: "train.mu_init", at: func(c *Config) any { return &c.Train.MuInit }, rule: finite},
	{key: "train.mu_lr", at: func(c *Config) any { return &c.Train.MuLR }, rule: positive},
	{key: "train.mu_min", at: func(c *Config) any { return &c.Train.MuMin }, rule: nonNegative},
	{key: "train.mu_max", at: func(c *Config) any { return &c.Train.MuMax }, rule: finite},
	{key: "train.dual_adaptive_lr", at: func(c *Config) any { return &c.Train.DualAdaptiveLR }, rule: boolean},
	{key: "train.dual_lr_decay", at: func(c *Config) any { return &c.Train.DualLRDecay }, rule: nonNegative},
	{key: "train.dual_delta_clip", at: func(c *Config) any { return &c.Train.DualDeltaClip }, rule: positiveOrNull},
	{key: "train.dual_deadband_ratio", at: func(c *Config) any { return &c.Train.DualDeadbandRatio }, rule: belowOne},
	{key: "train.dual_error_ema_beta", at: func(c *Config) any { return &c.Train.DualErrorEMABeta }, rule: belowOne},
	{key: "train.dual_lr_min_scale", at: func(c *Config) any { return &c.Train.DualLRMinScale }, rule: positive},
	{key: "train.dual_lr_max_scale", at: func(c *Config) any { return &c.Train.DualLRMaxScale }, rule: finite},
	{key: "train.distill_weight", at: func(c *Config) any { return &c.Train.DistillWeight }, rule: nonNegative},
	{key: "train.seg_boundary_weight", at: func(c *Config) any { return &c.Train.SegBoundaryWeight }, rule: nonNegative},
	{key: "train.use_pcgradpp", at: func(c *Config) any { return &c.Train.UsePCGradPP }, rule: boolean},
	{key: "train.disable_distill", at: func(c *Config) any { return &c.Train.DisableDistill }, rule: boolean},
	{key: "train.disable_pcgradpp", at: func(c *Config) any { return &c.Train.DisablePCGradPP }, rule: boolean},
	{key: "train.output_dir", at: func(c *Config) any { return &c.Train.OutputDir }, rule: text},
	{key: "train.save_interval", at: func(c *Config) any { return &c.Train.SaveInterval }, rule: between(1, 1<<31-1)},
	{key: "train.qat_enable", at: func(c *Config) any { return &c.Train.QATEnable }, rule: boolean},
	{key: "train.qat_int8", at: func(c *Config) any { return &c.Train.QATInt8 }, rule: boolean},
	{key: "train.qat_fp8", at: func(c *Config) any { return &c.Train.QATFP8 }, rule: boolean},

	{key: "data.coco_train_images", at: func(c *Config) any { return &c.Data.CocoTrainImages }, rule: text},
	{key: "data.coco_train_annotations", at: func(c *Config) any { return &c.Data.CocoTrainAnnotations }, rule: text},
	{key: "data.coco_val_images", at: func(c *Config) any { return &c.Data.CocoValImages }, rule: text},
	{key: "data.coco_val_annotations", at: func(c *Config) any { return &c.Data.CocoValAnnotations }, rule: text},
	{key: "data.flip_prob", at: func(c *Config) any { return &c.Data.FlipProb }, rule: unit},
	{key: "data.hsv_prob", at: func(c *Config) any { return &c.Data.HSVProb }, rule: unit},
	{key: "data.mosaic_prob", at: func(c *Config) any { return &c.Data.MosaicProb }, rule: unit},
	{key: "data.scale_min", at: func(c *Config) any { return &c.Data.ScaleMin }, rule: positive},
	{key: "data.scale_max", at: func(c *Config) any { return &c.Data.ScaleMax }, rule: positive},

	{key: "runtime.backend", at: func(c *Config) any { return &c.Runtime.Backend }, alias: map[string]string{"cpu": "reference"},
		rule: oneOf(backends.Known...)},
	{key: "runtime.fallback_policy", at: func(c *Config) any { return &c.Runtime.FallbackPolicy }, rule: oneOf("strict", "permissive")},
	{key: "runtime.precision_profile", at: func(c *Config) any { return &c.Runtime.PrecisionProfile }, rule: oneOf("quality", "balanced", "edge")},
	{key: "runtime.enable_export", at: func(c *Config) any { return &c.Runtime.EnableExport }, rule: boolean},
	{key: "runtime.enable_runtime_plugins", at: func(c *Config) any { return &c.Runtime.EnableRuntimePlugins }, rule: boolean},
	{key: "runtime.export_format", at: func(c *Config) any { return &c.Runtime.ExportFormat }, rule: oneOf("onnx", "torchscript")},
	{key: "runtime.trt_enable", at: func(c *Config) any { return &c.Runtime.TRTEnable }, rule: boolean},
	{key: "runtime.ort_enable", at: func(c *Config) any { return &c.Runtime.ORTEnable }, rule: boolean},
	{key: "runtime.deterministic", at: func(c *Config) any { return &c.Runtime.Deterministic }, rule: boolean},
}

// orderAliases are the other spellings of model.order_mode (spec/routing.md 2.1).
var orderAliases = map[string]string{
	"lr": "l2r", "scan_lr": "l2r",
	"rl": "r2l", "scan_rl": "r2l",
	"ud": "u2d", "scan_ud": "u2d",
	"du": "d2u", "scan_du": "d2u",
}

// section is the part of the key before the dot.
func (f field) section() string {
	name, _, _ := strings.Cut(f.key, ".")
	return name
}

// name is the part of the key after the dot.
func (f field) name() string {
	_, name, _ := strings.Cut(f.key, ".")
	return name
}

// byKey finds a row of the table.
var byKey = func() map[string]field {
	index := make(map[string]field, len(fields))
	for _, f := range fields {
		index[f.key] = f
	}
	return index
}()
