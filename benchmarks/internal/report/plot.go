package report

func (d *Data) plots(dir string) error { return nil }
