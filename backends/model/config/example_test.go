package config_test

import (
	"fmt"

	"github.com/apex-x/apexx/backends/model/config"
)

func ExampleParse() {
	file := []byte("model: {profile: nano, num_classes: 8}")
	c, err := config.Parse(file, []string{"model.profile=small", "routing.budget_b1=6.4"})
	fmt.Println(c.Model.PVChannels, c.Model.NumClasses, c.Routing.BudgetB1, err)

	_, err = config.Parse(file, []string{"model.tile_size=8", "routing.theta_on=1.5"})
	fmt.Println(err)
	// Output:
	// [80 160 256] 8 6.4 <nil>
	// model.tile_size: unknown key; did you mean model.tile_size_l0?
	// routing.theta_on: found 1.5, want a number in [0,1]
}
