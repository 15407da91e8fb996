package weights_test

import (
	"fmt"

	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/backends/model/weights"
)

func ExampleHashed() {
	cfg, err := config.Parse(nil, []string{"model.num_classes=8"})
	if err != nil {
		panic(err)
	}
	set := weights.Hashed(cfg, 123)
	stem, _ := set.Get("pv.backbone.stem.0.weight")
	fmt.Println(len(set.Names()), stem.Shape, stem.Data[0])
	// Output: 168 [80 3 3 3] -0.31914198
}
