package entry

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// A process is a program that holds messages, on a free port of loopback and in a
// directory of its own, until it is stopped.
type process struct {
	addr string
	dir  string
	cmd  *exec.Cmd
}

// start starts a program with the arguments that args returns for a port.
func start(command string, args func(port string) []string) (*process, error) {
	path, err := lookPath(command)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", command)
	if err != nil {
		return nil, err
	}
	s := &process{addr: "127.0.0.1:" + port, dir: dir, cmd: exec.Command(path, args(port)...)}
	s.cmd.Dir = dir
	if err := s.cmd.Start(); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	for range 200 {
		conn, err := net.Dial("tcp", s.addr)
		if err == nil {
			conn.Close()
			return s, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.stop()
	return nil, fmt.Errorf("%s does not answer on %s", command, s.addr)
}

func (s *process) stop() error {
	s.cmd.Process.Kill()
	s.cmd.Wait() // which says no more than that it was killed
	return os.RemoveAll(s.dir)
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

// lookPath also looks where Debian puts servers, which the PATH of a user may lack.
func lookPath(command string) (string, error) {
	path, err := exec.LookPath(command)
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin"} {
		if err == nil {
			break
		}
		path, err = exec.LookPath(filepath.Join(dir, command))
	}
	return path, err
}

// Missing says what has to be installed for the entry, or "".
func (i Info) Missing() string {
	if i.Command == "" {
		return ""
	}
	if _, err := lookPath(i.Command); err != nil {
		return fmt.Sprintf("there is no %s here: on Debian, apt-get install %s", i.Command, i.Package)
	}
	return ""
}
