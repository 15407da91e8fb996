package onnx

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of onnx.proto (IR version 10), named MESSAGE + field.
const (
	modelIRVersion       = 1
	modelProducerName    = 2
	modelProducerVersion = 3
	modelGraph           = 7
	modelOpsetImport     = 8
	modelMetadata        = 14
	modelFunctions       = 25

	graphNode            = 1
	graphName            = 2
	graphInitializer     = 5
	graphInput           = 11
	graphOutput          = 12
	graphValueInfo       = 13
	graphSparse          = 15
	nodeInput            = 1
	nodeOutput           = 2
	nodeName             = 3
	nodeOpType           = 4
	nodeAttribute        = 5
	nodeDomain           = 7
	nodeMetadata         = 9
	functionName         = 1
	functionInput        = 4
	functionOutput       = 5
	functionAttribute    = 6
	functionNode         = 7
	functionOpsetImport  = 9
	functionDomain       = 10
	functionDoc          = 8
	attributeName        = 1
	attributeF           = 2
	attributeI           = 3
	attributeS           = 4
	attributeT           = 5
	attributeFloats      = 7
	attributeInts        = 8
	attributeStrings     = 9
	attributeType        = 20
	tensorDims           = 1
	tensorDataType       = 2
	tensorFloatData      = 4
	tensorInt32Data      = 5
	tensorInt64Data      = 7
	tensorName           = 8
	tensorRawData        = 9
	tensorDoubleData     = 10
	tensorExternalData   = 13
	tensorDataLocation   = 14
	valueInfoName        = 1
	valueInfoType        = 2
	typeTensor           = 1
	typeTensorElem       = 1
	typeTensorShape      = 2
	shapeDim             = 1
	dimValue             = 1
	dimParam             = 2
	opsetDomain          = 1
	opsetVersion         = 2
	entryKey, entryValue = 1, 2
)

// Values of AttributeProto.type.
const (
	kindFloat   = 1
	kindInt     = 2
	kindString  = 3
	kindTensor  = 4
	kindFloats  = 6
	kindInts    = 7
	kindStrings = 8
)

// message is a protobuf message under construction.
type message []byte

func (m *message) int(field protowire.Number, v int64) {
	*m = protowire.AppendTag(*m, field, protowire.VarintType)
	*m = protowire.AppendVarint(*m, uint64(v))
}

func (m *message) float(field protowire.Number, v float32) {
	*m = protowire.AppendTag(*m, field, protowire.Fixed32Type)
	*m = protowire.AppendFixed32(*m, math.Float32bits(v))
}

func (m *message) bytes(field protowire.Number, v []byte) {
	*m = protowire.AppendTag(*m, field, protowire.BytesType)
	*m = protowire.AppendBytes(*m, v)
}

func (m *message) str(field protowire.Number, v string) {
	*m = protowire.AppendTag(*m, field, protowire.BytesType)
	*m = protowire.AppendString(*m, v)
}

// entry appends a StringStringEntryProto.
func (m *message) entry(field protowire.Number, key, value string) {
	var e message
	e.str(entryKey, key)
	e.str(entryValue, value)
	m.bytes(field, e)
}

// opset appends an OperatorSetIdProto.
func (m *message) opset(field protowire.Number, domain string, version int64) {
	var o message
	o.str(opsetDomain, domain)
	o.int(opsetVersion, version)
	m.bytes(field, o)
}
