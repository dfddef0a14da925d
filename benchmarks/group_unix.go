//go:build unix

package main

import (
	"os"
	"os/exec"
	"syscall"
)

// makeGroup puts a command into a process group of its own, with the servers that it will
// start.
func makeGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// killGroup ends the group of a command that makeGroup was called for.
func killGroup(p *os.Process) error { return syscall.Kill(-p.Pid, syscall.SIGKILL) }

// killOwnGroup ends this process and its group, if it is the first of one.
func killOwnGroup() {
	if syscall.Getpgrp() == os.Getpid() {
		syscall.Kill(0, syscall.SIGKILL)
	}
}
