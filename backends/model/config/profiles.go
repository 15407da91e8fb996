package config

import "slices"

// profile is one size of the model (spec/model.md 1.1).
type profile struct {
	pvChannels, pvStrides, ffChannels, ffStrides []int
}

// profileNames lists the profiles from the smallest to the largest.
var profileNames = []string{"nano", "small", "base", "large"}

var profiles = map[string]profile{
	"nano":  {[]int{64, 128, 192}, []int{8, 16, 32}, []int{96, 160}, []int{8, 4}},
	"small": {[]int{80, 160, 256}, []int{8, 16, 32}, []int{128, 224}, []int{8, 4}},
	"base":  {[]int{96, 192, 320}, []int{8, 16, 32}, []int{160, 288}, []int{8, 4}},
	"large": {[]int{128, 256, 384}, []int{8, 16, 32}, []int{192, 352}, []int{8, 4}},
}

// Profiles lists the names that model.profile accepts, from the smallest model to the largest.
func Profiles() []string { return slices.Clone(profileNames) }

// expand takes each list that is empty from the profile. For an unknown profile, which check reports, small's lists keep
// check from reporting four empty lists as well.
//
// The original expanded before its overrides, so an overridden profile changed the name alone (spec/model.md D8); here the
// overrides come first.
func (c *Config) expand() {
	preset, ok := profiles[c.Model.Profile]
	if !ok {
		preset = profiles["small"]
	}
	orPreset := func(list *[]int, from []int) {
		if len(*list) == 0 {
			*list = slices.Clone(from)
		}
	}
	orPreset(&c.Model.PVChannels, preset.pvChannels)
	orPreset(&c.Model.PVStrides, preset.pvStrides)
	orPreset(&c.Model.FFChannels, preset.ffChannels)
	orPreset(&c.Model.FFStrides, preset.ffStrides)
}
