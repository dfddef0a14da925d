package main

import (
	"context"
	"flag"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

var shot = flag.String("shot", "", "`file` for a screenshot of the page")

// The page in a real browser: a search, offers that come one by one, a server that
// is killed by its button, and an offer that is picked.
func TestPageInABrowser(t *testing.T) {
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if browser == "" {
		t.Skip("no Chromium here: on Debian, apt-get install chromium")
	}
	s, err := newSite(config{servers: 3, timeout: 3 * time.Second, seed: 1})
	require.NoError(t, err)
	defer s.close()
	web := httptest.NewServer(s.handler())
	defer web.Close()
	defer s.close() // before the server, which waits for streams to end

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browser), chromedp.NoSandbox, chromedp.WindowSize(1200, 900),
		chromedp.Flag("force-prefers-reduced-motion", true), chromedp.UserDataDir(t.TempDir()))...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()

	do := func(actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		require.NoError(t, chromedp.Do(ctx, actions...))
	}
	text := func(selector string) string {
		t.Helper()
		s, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS(selector)))
		require.NoError(t, err)
		return s
	}
	do(
		chromedp.Navigate(web.URL),
		chromedp.WaitVisible(chromedp.CSS("#kill3")),
		chromedp.SetValue(chromedp.CSS(`[name=beach]`), "Praia da Rocha"),
		chromedp.SetValue(chromedp.CSS(`[name=from]`), "Oslo"),
		chromedp.SetValue(chromedp.CSS(`[name=depart]`), "2027-07-14"),
		chromedp.SetValue(chromedp.CSS(`[name=return]`), "2027-06-30"),
		chromedp.Click(chromedp.CSS("#search")),
		chromedp.WaitVisible(`//p[@id="error"][contains(.,"before departure")]`),
	)
	refused := text("#error")
	do(
		chromedp.SetValue(chromedp.CSS(`[name=depart]`), "2027-06-30"),
		chromedp.SetValue(chromedp.CSS(`[name=return]`), "2027-07-14"),
		chromedp.Click(chromedp.CSS("#search")),
		chromedp.WaitVisible(chromedp.CSS(".offer")),
		chromedp.Click(chromedp.CSS(".busy .kill")),
		chromedp.WaitVisible(chromedp.CSS(".dead")),
	)
	killed := text(".dead")
	do(
		chromedp.WaitVisible(`//ol[@id="timeline"]/li[contains(.,"server") and contains(.,"is done")]`),
		chromedp.Click(chromedp.CSS(".offer button")),
		chromedp.WaitVisible(chromedp.CSS(".offer.picked")),
	)
	title, answered := text("#title"), text("#timeline")
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	require.NoError(t, err)
	require.Equal(t, "return is 2027-06-30, before departure on 2027-07-14", refused)
	require.Contains(t, killed, "dead")
	require.Equal(t, "Praia da Rocha from Oslo: 4 offers", title)
	require.Contains(t, answered, "is killed in the middle of it")
	require.Contains(t, answered, "the search comes up again")
	require.Contains(t, answered, "have a good trip")
	if *shot != "" {
		require.NoError(t, os.WriteFile(*shot, picture, 0o644))
	}
}
