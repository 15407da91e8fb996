package reports

import "testing"

func TestFlagsHTML(t *testing.T) {
	if got, want := string(flagsHTML("apexx matrix --cases <one> --set a=\"-b\"")), "apexx matrix <span>--cases</span> &lt;one&gt; <span>--set</span> a=&#34;-b&#34;"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := string(flagsHTML("--cells a/b,c/d, e")); got != "<span>--cells</span> a/b,<wbr>c/d, e" {
		t.Errorf("%s", got)
	}
	if got := string(flagsHTML("--<script>")); got != "<span>--&lt;script&gt;</span>" {
		t.Errorf("markup gets through: %s", got)
	}
}
