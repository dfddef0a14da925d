package sqshttp

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

const mostTags = 50

var tagText = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

func checkTags(tags map[string]string) error {
	if len(tags) > mostTags {
		return badValue("Tags", len(tags), "at most 50 tags are allowed")
	}
	for k, v := range tags {
		switch n := utf8.RuneCountInString(k); {
		case n < 1 || n > 128 || !tagText.MatchString(k):
			return badValue("Tag.Key", quoted(k), "1 to 128 letters, digits, spaces and _.:/=+-@")
		case strings.HasPrefix(strings.ToLower(k), "aws:"):
			return badValue("Tag.Key", quoted(k), "the prefix aws: is reserved")
		case utf8.RuneCountInString(v) > 256 || !tagText.MatchString(v):
			return badValue("Tag.Value", quoted(v), "at most 256 letters, digits, spaces and _.:/=+-@")
		}
	}
	return nil
}
