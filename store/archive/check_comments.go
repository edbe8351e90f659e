package archive

import (
	"errors"
	"fmt"

	"hookline/review"
)

// comment looks at a comment. What it answers may come later: ids are of the
// clocks of several servers.
func (c *checker) comment(v review.Comment) error {
	version := markOf(v.Version)
	if _, ok := c.versions[version]; !ok {
		return errors.New("there is no such version")
	}
	if err := c.once("comment id", v.ID); err != nil {
		return err
	}
	if c.comments[version]++; c.comments[version] > review.MaxComments {
		return fmt.Errorf("its version has more than %d comments", review.MaxComments)
	}
	switch v.Part {
	case review.PartWhole, review.PartScript, review.PartManifest:
	default:
		return fmt.Errorf("a version has no part %q", clip(string(v.Part)))
	}
	if len(v.Text) > review.MaxCommentBytes {
		return errors.New("it is longer than people may write")
	}
	if v.Parent == "" {
		c.threads[markOf(v.Version, v.ID)] = struct{}{}
	} else {
		c.answers[markOf(v.Version, v.Parent)] = clip(v.ID)
	}
	return atMost(v.Line)
}

// answered demands that every answer has its thread.
func (c *checker) answered() error {
	for thread, id := range c.answers {
		if _, there := c.threads[thread]; !there {
			return fmt.Errorf("comment %q answers none that starts a thread of its version", id)
		}
	}
	return nil
}
