package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

func TestOrdersAreCarriedOutOnceAndInOrder(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			done := make(chan struct{}, 1000)
			r, err := run(t.Context(), config{users: 10, orders: 15, workers: 5, seed: seed}, func() { done <- struct{}{} })
			require.NoError(t, err)
			require.Empty(t, r.wrong)
			require.Len(t, done, 150)
			require.EqualValues(t, 150, r.sent)
			require.Greater(t, r.duplicates, uint64(30))
			require.Greater(t, r.deliveries, uint64(150), "some failed")
			var out bytes.Buffer
			r.print(&out)
			require.Contains(t, out.String(), "Each order was carried out once")
			require.Contains(t, out.String(), "Ann2")
		})
	}
}

func TestReportNoticesWrongOrder(t *testing.T) {
	r := newReport(config{users: 1, orders: 2})
	require.False(t, r.carriedOut(dabchick.Message[Order]{Body: Order{"Ann", 2}}))
	require.Len(t, r.wrong, 1)
	var out bytes.Buffer
	r.print(&out)
	require.Contains(t, out.String(), "WRONG: Ann's order 2 was carried out when 1 was due")
}

func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := run(ctx, config{users: 3, orders: 5, workers: 2, seed: 1}, cancel)
		require.EqualError(t, err, "interrupted")
	})
}

func TestFlags(t *testing.T) {
	c, err := parseFlags(nil, io.Discard)
	require.NoError(t, err)
	require.Equal(t, config{6, 12, 4, 1}, c)
	for _, args := range []string{"-users 0", "-orders 1001", "-workers 65"} {
		_, err := parseFlags(strings.Fields(args), io.Discard)
		require.ErrorContains(t, err, "allowed: 1 to ")
	}
	_, err = parseFlags([]string{"orders=3"}, io.Discard)
	require.ErrorContains(t, err, `unexpected argument "orders=3"`)
}
