module github.com/dabchickmq/dabchick/examples

go 1.26

require github.com/dabchickmq/dabchick v0.0.0

replace github.com/dabchickmq/dabchick => ../
