package reports

import (
	_ "embed" // for the schema
	"io"

	"github.com/apex-x/apexx/internal/evaluate"
	"github.com/apex-x/apexx/internal/sortedjson"
	"github.com/apex-x/apexx/perf/env"
)

// Evaluation is what apexx eval found. The keys generated_at_utc, summary, runtime and model_eval, and those in them, are of the original's
// report (spec/train-eval.md 12.7, 15.3, 16.4); its numbers of detections and masks are COCO's here.
type Evaluation struct {
	SchemaVersion int                    `json:"schema_version"`
	GeneratedAt   string                 `json:"generated_at_utc"`
	Version       string                 `json:"version"`
	Build         Build                  `json:"build"`
	Command       string                 `json:"command"`
	Variables     []env.Software         `json:"variables,omitempty"` // of the environment of what was executed, as env.Environment has them
	Dataset       EvaluationDataset      `json:"dataset"`
	Name          string                 `json:"name"` // of what was evaluated
	Summary       EvaluationSummary      `json:"summary"`
	Runtime       *EvaluationRuntime     `json:"runtime,omitempty"`
	Model         *Model                 `json:"model,omitempty"`
	ModelEval     *ModelEvaluation       `json:"model_eval,omitempty"`
	Comparison    *EvaluationComparison  `json:"comparison,omitempty"`
	Verdict       string                 `json:"verdict"` // PASS, FAIL or INCONCLUSIVE; "" where no budget was given
	ExitCode      int                    `json:"exit_code"`
	Curves        []PrecisionRecallCurve `json:"curves"`
	Images        []CaseImages           `json:"-"` // of those that changed most
}

// EvaluationSchemaVersion is the version of Evaluation's JSON form.
const EvaluationSchemaVersion = 2

// EvaluationSchema is the JSON Schema (draft 2020-12) of an Evaluation.
//
//go:embed schema/evaluation.schema.json
var EvaluationSchema []byte

// EvaluationDataset says what was evaluated on.
type EvaluationDataset struct {
	Name              string   `json:"name"`
	Images            int      `json:"images"`
	Objects           int      `json:"objects"`
	Classes           int      `json:"classes"`
	AnnotationsSHA256 string   `json:"annotations_sha256"`
	ProblemCount      int      `json:"problem_count"`
	LeftOut           int      `json:"records_left_out"`
	Problems          []string `json:"problems"` // the first of them
}

// EvaluationSummary has a part for each kind of output; what was not evaluated is null.
type EvaluationSummary struct {
	Det      *DetectionEvaluation `json:"det"`
	InstSeg  *DetectionEvaluation `json:"inst_seg"`
	Semantic *SemanticEvaluation  `json:"semantic"`
	Panoptic *PanopticEvaluation  `json:"panoptic"`
}

// DetectionEvaluation is the quality of boxes or of masks; -1 stands for a number for which there is no object.
type DetectionEvaluation struct {
	MAP      float64                 `json:"map"`
	AP50     float64                 `json:"ap50"`
	AP75     float64                 `json:"ap75"`
	NumGT    int                     `json:"num_gt"`
	NumPred  int                     `json:"num_pred"`
	COCO     evaluate.Summary        `json:"coco"`
	PerClass []evaluate.ClassSummary `json:"per_class"`
	Scores   []evaluate.ScoreStratum `json:"score_strata"`
}

// SemanticEvaluation is the overlap of the labels of pixels.
type SemanticEvaluation struct {
	MIoU     float64            `json:"miou"`
	PerClass map[string]float64 `json:"per_class_iou"`
}

// PanopticEvaluation is the quality of segments; source tells whose rules.
type PanopticEvaluation struct {
	PQ       float64                           `json:"pq"`
	Source   string                            `json:"source"`
	All      evaluate.PanopticQuality          `json:"all"`
	Things   evaluate.PanopticQuality          `json:"things"`
	Stuff    evaluate.PanopticQuality          `json:"stuff"`
	PerClass map[string]evaluate.PanopticClass `json:"per_class"`
}

// EvaluationRuntime says what executed the model.
type EvaluationRuntime struct {
	RequestedBackend string             `json:"requested_backend"`
	SelectedBackend  string             `json:"selected_backend"`
	ExecutionBackend string             `json:"execution_backend"`
	FallbackPolicy   string             `json:"fallback_policy"`
	PrecisionProfile string             `json:"precision_profile"`
	EffectiveDType   string             `json:"effective_dtype"`
	Latency          map[string]float64 `json:"latency_ms"`
	Unmapped         []string           `json:"unmapped_classes,omitempty"` // of the model, that the data set does not have
}

// ModelEvaluation describes numbers of each image; with another execution, its numbers are the targets.
type ModelEvaluation struct {
	Source              string               `json:"source"`
	NumSamples          int                  `json:"num_samples"`
	DetScore            evaluate.Spread      `json:"det_score"`
	SelectedTiles       TileSpread           `json:"selected_tiles"`
	ExecutionBackend    string               `json:"execution_backend"`
	PrecisionProfile    string               `json:"precision_profile"`
	DetScoreTarget      *evaluate.Regression `json:"det_score_target,omitempty"`
	SelectedTilesTarget *evaluate.Regression `json:"selected_tiles_target,omitempty"`
}

// TileSpread describes how many tiles were selected.
type TileSpread struct {
	Mean float64 `json:"mean"`
	P95  float64 `json:"p95"`
}

// EvaluationComparison is the candidate against a base on the same images.
type EvaluationComparison struct {
	Base       string                `json:"base"`
	Summary    EvaluationSummary     `json:"summary"` // of the base
	Replicates int                   `json:"replicates"`
	Confidence float64               `json:"confidence"`
	Seed       uint64                `json:"seed"`
	Det        *evaluate.Differences `json:"det"`
	InstSeg    *evaluate.Differences `json:"inst_seg"`
	Semantic   *evaluate.Difference  `json:"semantic"` // of mIoU
	Panoptic   *evaluate.Difference  `json:"panoptic"` // of PQ
	MaxMapDrop *float64              `json:"max_map_drop,omitempty"`
	Undecided  string                `json:"undecided,omitempty"` // why there can be no verdict
	Changes    []EvaluationChange    `json:"changes"`             // the images that change the AP of boxes, the greatest first
}

// EvaluationChange is an image in which the two differ.
type EvaluationChange struct {
	Image     int64   `json:"image_id"`
	File      string  `json:"file_name"`
	Changed   int     `json:"changed_matches"` // over classes and thresholds
	Influence float64 `json:"influence"`       // on the difference of AP
}

// PrecisionRecallCurve is the mean over the classes of the precision at the recalls 0, 0.01, … 1.
type PrecisionRecallCurve struct {
	Name      string    `json:"name"`
	Kind      string    `json:"kind"` // boxes or masks
	Threshold float64   `json:"iou"`
	Precision []float64 `json:"precision"`
}

// EvaluationJSON writes the document as JSON with sorted keys.
func EvaluationJSON(w io.Writer, e *Evaluation) error { return sortedjson.Write(w, e) }
