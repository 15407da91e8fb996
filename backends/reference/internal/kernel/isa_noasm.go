package kernel

func detect() ISA { return Portable }
