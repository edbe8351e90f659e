package mongo

import (
	"bytes"
	"fmt"
	"reflect"

	"go.mongodb.org/mongo-driver/v2/bson"

	"hookline/store"
)

// encoding encodes what is stored and what is asked for. Texts that are not
// UTF-8 are no strings of BSON, and come back as others or not at all: they
// are refused here, wherever they stand. So is a value that no document holds:
// inserts are measured whole (see fits), updates by what they bring.
var encoding = registry()

func registry() *bson.Registry {
	r := bson.NewRegistry()
	r.RegisterKindEncoder(reflect.String, bson.ValueEncoderFunc(encodeText))
	r.RegisterTypeEncoder(reflect.TypeFor[[]byte](), bson.ValueEncoderFunc(encodeBytes))
	return r
}

// marshal encodes a document as the client does.
func marshal(doc any) ([]byte, error) {
	var b bytes.Buffer
	e := bson.NewEncoder(bson.NewDocumentWriter(&b))
	e.SetRegistry(encoding)
	err := e.Encode(doc)
	return b.Bytes(), err
}

func encodeText(_ bson.EncodeContext, w bson.ValueWriter, v reflect.Value) error {
	s := v.String()
	if err := store.CheckText(s); err != nil {
		return err
	}
	if err := store.CheckSize("a text", len(s)); err != nil {
		return err
	}
	return w.WriteString(s)
}

func encodeBytes(_ bson.EncodeContext, w bson.ValueWriter, v reflect.Value) error {
	if v.Kind() != reflect.Slice || v.Type().Elem().Kind() != reflect.Uint8 {
		return fmt.Errorf("cannot encode a %s as bytes", v.Type())
	}
	if v.IsNil() {
		return w.WriteNull()
	}
	b := v.Bytes()
	if err := store.CheckSize("bytes", len(b)); err != nil {
		return err
	}
	return w.WriteBinary(b)
}
