package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A bucket is the folder in which uploads arrive.
type bucket struct {
	dir  string
	seen map[string]bool
}

const (
	lookEvery = 100 * time.Millisecond
	// A file that somebody is still writing to is left for later.
	quietFor = 300 * time.Millisecond
)

// arrivals returns the names of pictures that were not there before, sorted.
func (b *bucket) arrivals(now time.Time) ([]string, error) {
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone again
		}
		if err != nil {
			return nil, err
		}
		age := now.Sub(info.ModTime())
		writing := age >= 0 && age < quietFor // the time of a file that was unpacked may be to come
		if b.seen[e.Name()] || !info.Mode().IsRegular() || !isPicture(e.Name()) || writing {
			continue
		}
		b.seen[e.Name()] = true
		names = append(names, e.Name())
	}
	return names, nil
}

// fresh says whether there are files that arrivals left for later.
func (b *bucket) fresh() bool {
	entries, _ := os.ReadDir(b.dir)
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		return e.Type().IsRegular() && isPicture(e.Name()) && !b.seen[e.Name()]
	})
}

func isPicture(name string) bool {
	if strings.HasPrefix(name, ".") {
		return false
	}
	switch strings.ToLower(filepath.Ext(name)) {
	case ".png", ".jpg", ".jpeg", ".gif":
		return true
	}
	return false
}

// goPictures returns the pictures that come with every Go installation, and
// two broken ones from the tests of its PNG reader.
func goPictures() (pictures []string, err error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("finding the pictures of the Go installation: %w (give a folder with -in instead)", err)
	}
	src := filepath.Join(string(bytes.TrimSpace(out)), "src", "image")
	all, err := filepath.Glob(filepath.Join(src, "testdata", "*"))
	if err != nil {
		return nil, err
	}
	for _, path := range all {
		if isPicture(path) {
			pictures = append(pictures, path)
		}
	}
	if len(pictures) == 0 {
		return nil, fmt.Errorf("no pictures in %s: give a folder with -in", filepath.Join(src, "testdata"))
	}
	for i, name := range []string{"invalid-crc32.png", "invalid-trunc.png"} {
		path := filepath.Join(src, "png", "testdata", name)
		if _, err := os.Stat(path); err == nil {
			pictures = slices.Insert(pictures, min(len(pictures), 4+3*i), path)
		}
	}
	return pictures, nil
}

// upload puts pictures into a folder as people would: a few now and then, half of
// them all at once, and then a few again.
func upload(ctx context.Context, pictures []string, dir string) error {
	for i, path := range pictures {
		if surge := i*3 >= len(pictures) && i*6 < len(pictures)*5; !surge {
			select {
			case <-time.After(300 * time.Millisecond):
			case <-ctx.Done():
				return nil
			}
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		// Written under another name, then moved: a picture arrives whole.
		part := filepath.Join(dir, ".part")
		if err := os.WriteFile(part, data, 0o644); err != nil {
			return err
		}
		if err := os.Rename(part, filepath.Join(dir, filepath.Base(path))); err != nil {
			return err
		}
	}
	return nil
}
