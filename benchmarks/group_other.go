//go:build !unix

package main

import (
	"os"
	"os/exec"
)

// There are no process groups: a command is ended alone.

func makeGroup(*exec.Cmd) {}

func killGroup(p *os.Process) error { return p.Kill() }

func killOwnGroup() {}
