// Package caps tells what a machine can run: backends, precisions and devices, and for what is missing a code of the catalog
// (backends.Reasons) and what to do.
//
//  1. Whoever probes fills an Observed: what each backend says of itself, and what NVML and the files of the machine show beside it.
//  2. Of makes Caps of that, and is a function of nothing else. Rows (requirement.go) name what each backend requires and what it uses
//     where it is there; device.go chooses the device as the CUDA driver does, and gates FP8; tensorrt.go looks for what TensorRT needs.
//  3. Select (selection.go) chooses a backend, strictly or not, and says why it is another than the one that was asked for.
//  4. WriteText writes Caps for people; as JSON they have the schema reports/schema/caps.schema.json.
package caps
