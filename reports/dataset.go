package reports

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/apex-x/apexx/internal/printable"
)

// DatasetCount describes a data set by its classes.
type DatasetCount struct {
	Name            string
	Images, Objects int
	Empty           int // images without objects
	Classes         []ClassCount
}

// ClassCount counts the objects of a class.
type ClassCount struct {
	ID      int64 // of the category
	Name    string
	Objects int // crowds among them
	Crowds  int
	Masks   int    // objects that have one
	Sizes   [3]int // small, medium, large objects by COCO's areas, crowds left out
	Images  int    // with an object
}

// Add counts an object, whose size is its place in Sizes.
func (c *ClassCount) Add(crowd, mask bool, size int) {
	c.Objects++
	if mask {
		c.Masks++
	}
	if crowd {
		c.Crowds++
		return
	}
	c.Sizes[size]++
}

// DatasetTable writes the counts for a terminal.
func DatasetTable(w io.Writer, d DatasetCount) error {
	fmt.Fprintf(w, "%s: %s (%d without objects), %s, %s\n\n", d.Name, counted(d.Images, "image"), d.Empty, counted(d.Objects, "object"), counted(len(d.Classes), "class"))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "id\tclass\timages\tobjects\tsmall\tmedium\tlarge\tcrowds\tmasks")
	for _, c := range d.Classes {
		fmt.Fprintf(t, "%d\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", c.ID, printable.Line(c.Name), c.Images, c.Objects, c.Sizes[0], c.Sizes[1], c.Sizes[2], c.Crowds, c.Masks)
	}
	return t.Flush()
}
